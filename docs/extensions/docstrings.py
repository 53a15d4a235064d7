"""Docstrings are text with `code`, lists, indented equations and examples; Sphinx gets reStructuredText of them."""

import inspect
import re
from typing import Any

from sphinx.util.inspect import stringify_signature

import clif

SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes):$")
ITEM = re.compile(r"- |\d+\. ")
CODE = re.compile(r"(``?)(.+?)\1")
MARKUP = re.compile(r"([*|\\]|_(?=\W|$))")


def literal(text: str) -> str:
    """A line of text in which `code` is code and no other character is markup."""
    parts, end = [], 0
    for match in CODE.finditer(text):
        parts += [MARKUP.sub(r"\\\1", text[end : match.start()]), f"``{match[2]}``"]
        if text[match.end() : match.end() + 1].isalnum():
            parts.append("\\ ")
        end = match.end()
    return "".join([*parts, MARKUP.sub(r"\\\1", text[end:])])


def convert(lines: list[str]) -> list[str]:
    """The lines with their markup escaped; examples and indented paragraphs outside sections stay as they are."""
    out: list[str] = []
    kind, after = "text", ""  # text, section, example or block; the line before
    for line in lines:
        blank, indented = not line.strip(), line.startswith(" ")
        first = not after.strip()
        if not blank and not indented:
            kind = "section" if SECTION.match(line) else "text"
        if not blank and first and line.lstrip().startswith(">>> "):
            kind = "example"
        elif not blank and first and indented and kind == "text":
            kind = "block"
            out += [] if any(one.rstrip().endswith("::") for one in out[-2:]) else ["::", ""]
        if blank and kind == "example":
            kind = "text"
        if ITEM.match(line) and after.strip() and not (ITEM.match(after) or after.startswith(" ")):
            out.append("")
        out.append(line if blank or kind in ("example", "block") else literal(line))
        after = line
    return out


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = convert(lines)


def sign(app: Any, what: str, name: str, obj: Any, *rest: Any) -> tuple[str, str] | None:
    """The arguments of a neuron are those of its `__init__`; its `__new__` takes anything."""
    if what != "class" or not issubclass(obj, clif.SpikingNeuron):
        return None
    _, *arguments = inspect.signature(obj.__init__).parameters.values()
    signature = inspect.Signature(arguments)
    return stringify_signature(signature, unqualified_typehints=True), ""


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """A name of clif itself is described there only."""
    at_top = what == "module" and name in clif.__all__ and getattr(clif, name) is obj
    return True if at_top and app.env.docname != "reference/clif" else None


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-process-signature", sign)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
