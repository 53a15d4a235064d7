"""The text of a table's cell in LaTeX and in Markdown."""

import re

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{character: f"{{{character}}}" for character in "[*"},  # at the start of a row they are arguments of \\
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "±": "$\\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "µ": "\\textmu{}",
    "σ": "$\\sigma$",
    "τ": "$\\tau$",
    "·": "$\\cdot$",
    "×": "$\\times$",
    "→": "$\\to$",
    "…": "\\dots{}",
}


def escape_latex(text: str) -> str:
    """The text on one line, with the characters that LaTeX reads as commands escaped."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def escape_markdown(text: str) -> str:
    """The text on one line, with the characters that GitHub's Markdown reads as markup escaped."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", " ".join(text.split()))
