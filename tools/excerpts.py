"""Excerpts for the search of the docs site, from the disk too: the texts of all pages in one script.

An extension of Sphinx; tools/docs.py loads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from t2i_learn.core.files import write_atomic

SITE = Path(__file__).resolve().parent / "site"
SCRIPT = "excerpts.js"  # of tools/site/
TEXTS = "page_texts.js"  # made anew with each site


def visible_text(
    node: nodes.Node,  # of a page
) -> str:
    "What a reader reads of it, without the sections below it."
    if isinstance(node, (nodes.section, nodes.raw, nodes.comment, nodes.image)):
        return ""
    if isinstance(node, (nodes.math, nodes.math_block)) and "\\" in node.astext():
        return "…"  # nobody reads a formula in the language of TeX
    if isinstance(node, nodes.Text) or not node.children:
        return node.astext()
    joint = "" if isinstance(node, nodes.TextElement) else " "
    return joint.join(filter(None, map(visible_text, node.children)))


def section_texts(
    page: nodes.document,
) -> Iterator[tuple[str, str]]:  # anchor, text
    "The texts of a page's sections, in order."
    for section in page.findall(nodes.section):
        text = " ".join(" ".join(visible_text(child) for child in section.children).split())
        yield section["ids"][0], text


def setup(
    site: Sphinx,  # before it is built
) -> None:
    "Write the texts of all pages, and let the search show excerpts of them."
    texts: dict[str, list[tuple[str, str]]] = {}

    def collect(site: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
        if tree is not None:
            texts[page] = list(section_texts(tree))
        elif page == "search":
            site.add_js_file(TEXTS)
            site.add_js_file(SCRIPT)

    def write(site: Sphinx, error: Exception | None) -> None:
        if error is None:
            script = f"const PAGE_TEXTS = {json.dumps(texts, ensure_ascii=False)};\n"
            write_atomic(Path(site.outdir, "_static", TEXTS), script.encode())

    site.connect("html-page-context", collect)
    site.connect("build-finished", write)
