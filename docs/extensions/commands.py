"""The directive `clif-command NAME`: a command's description and options, from the program's own parser."""

import argparse
import re
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from clif.cli import command_parser

BACKTICKS = re.compile(r"`([^`]+)`")


def text(content: str) -> list[nodes.Node]:
    """Text in which `code` is code."""
    parts = BACKTICKS.split(content)
    return [nodes.literal(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]


def entry(action: argparse.Action, formatter: argparse.HelpFormatter) -> nodes.Node:
    words = formatter._format_action_invocation(action)
    says = formatter._expand_help(action) if action.help else ""
    term = nodes.term("", "", nodes.literal(words, words))
    return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *text(says))))


class Command(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        parser = command_parser(self.arguments[0])
        formatter = parser.formatter_class(parser.prog)
        usage = parser.format_help().splitlines()[0].removeprefix("usage: ")
        found: list[nodes.Node] = [nodes.literal_block(usage, usage, language="text")]
        for paragraph in (parser.description or "").split("\n\n"):
            found.append(nodes.paragraph("", "", *text(" ".join(paragraph.split()))))
        for group in parser._action_groups:
            actions = [one for one in group._group_actions if one.help != argparse.SUPPRESS]
            if actions:
                title = nodes.strong("", group.title.capitalize())
                found += [nodes.paragraph("", "", title)]
                found += [nodes.definition_list("", *(entry(one, formatter) for one in actions), classes=["options"])]
        return found


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("clif-command", Command)
    return {"parallel_read_safe": True}
