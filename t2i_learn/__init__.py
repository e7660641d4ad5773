"From a caption to a picture, notebook by notebook."

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from t2i_learn.core.pipeline import load, models

__version__ = "0.1.0"
__all__ = ["load", "models"]


def __getattr__(name: str):
    "Import `load` and `models` when they are first asked for: `import t2i_learn` itself costs nothing."
    if name not in __all__:
        raise AttributeError(f"module 't2i_learn' has no attribute {name!r}")
    from t2i_learn.core import pipeline

    return getattr(pipeline, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
