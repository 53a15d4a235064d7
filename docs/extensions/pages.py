"""The index takes every page of docs/ that no toctree of its own names, in place of the line OTHER_PAGES."""

import re
from pathlib import Path
from typing import Any

MARK = "OTHER_PAGES"


def other_pages(text: str, folder: Path) -> list[str]:
    """The pages of a folder, but for the index, whose names are on no line of the index's text."""
    named = set(re.findall(r"^(?:.*<)?([\w/]+)>?$", text, re.MULTILINE))
    return sorted(path.stem for path in folder.glob("*.md") if path.stem not in {"index", *named})


def complete(app: Any, docname: str, source: list[str]) -> None:
    if docname == "index":
        source[0] = source[0].replace(MARK, "\n".join(other_pages(source[0], Path(app.srcdir))))


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", complete)
    return {"parallel_read_safe": True}
