"""Files for the JupyterLab that `t2i-learn lab` starts; jupyter_server_config.json names the class.

When JupyterLab opens a page, it writes the kernel's title and the version of Python into it, and so marks the page as
changed. Neither can stand in the file: they differ from machine to machine. So a page gets them when it is read, and
loses them when it is saved.
"""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

KERNEL = "python3"  # every page of the course names it


def fill_in(
    metadata: dict[str, Any],  # of a notebook; changed in place
) -> None:
    "Add what JupyterLab would add once the kernel has started."
    kernel = metadata.get("kernelspec", {})
    if kernel.get("name") == KERNEL:
        kernel["display_name"] = KernelSpecManager().get_kernel_spec(KERNEL).display_name
        metadata["language_info"] = dict(IPythonKernel.language_info)


def take_out(
    metadata: dict[str, Any],  # of a notebook; changed in place
) -> None:
    "Leave what the pages of the course have."
    kernel = metadata.get("kernelspec", {})
    if kernel.get("name") == KERNEL:
        kernel["display_name"] = KERNEL
        metadata.pop("language_info", None)


class Contents(AsyncLargeFileManager):
    "Jupyter's own access to files, but that a page is not changed by being opened."

    async def get(
        self,
        path: str,  # of a file or a folder
        content: bool = True,  # else only what is known about it
        type: str | None = None,  # what it should be
        format: str | None = None,  # of a file's content
        require_hash: bool = False,  # of the content as it lies on the disk
    ) -> dict[str, Any]:
        "A file as JupyterLab sees it."
        more = {"require_hash": True} if require_hash else {}  # servers before 2.11 know no hash
        model = await super().get(path, content, type, format, **more)
        if model["type"] == "notebook" and model["content"] is not None:
            fill_in(model["content"]["metadata"])
        return model

    async def save(
        self,
        model: dict[str, Any],  # with type and content
        path: str = "",  # of the file
    ) -> dict[str, Any]:
        "Write what JupyterLab sends."
        if model.get("type") == "notebook" and isinstance(model.get("content"), dict):
            take_out(model["content"].get("metadata", {}))
        return await super().save(model, path)
