"""Tables as CSV, LaTeX and Markdown."""

import csv
import io
import math

from clif.report.statistics import Mean
from clif.report.tables import Table, mean, number, p_value, to_csv, to_latex, to_markdown, words

TABLE = Table(
    "final",
    "Results & more",
    ["Group", "Accuracy (%)", "p"],
    [
        [words("CLIF_a|b"), mean(Mean(0.9876, 0.0123, 3), scale=100), p_value(0.00001)],
        [words("50 % #1 <b>"), mean(None), p_value(math.nan)],
        [words("LIF"), mean(Mean(-0.5, math.nan, 1), scale=100), number(0.25)],
    ],
    note="Of the last epoch.",
)


def test_cells_are_written_for_people():
    texts = [[cell.text for cell in row[1:]] for row in TABLE.rows]
    assert texts == [["98.76 ± 1.23", "< 0.001"], ["–", "–"], ["−50.00", "0.25"]]
    assert [TABLE.is_numeric(i) for i in range(3)] == [False, True, True]


def test_the_csv_has_full_precision_and_a_column_of_standard_deviations():
    lines = list(csv.reader(io.StringIO(to_csv(TABLE))))
    assert lines[0] == ["Group", "Accuracy (%)", "Accuracy (%), std", "p"]
    assert lines[1] == ["CLIF_a|b", "98.76", "1.23", "1e-05"]
    assert lines[2] == ["50 % #1 <b>", "", "", ""]


def test_the_latex_is_booktabs_with_everything_escaped():
    text = to_latex(TABLE)
    for line in ("\\toprule", "\\midrule", "\\bottomrule", "\\begin{tabular}{lrr}", "\\label{tab:final}"):
        assert line in text
    assert "\\caption{Results \\& more. Of the last epoch.}" in text
    assert "CLIF\\_a$|$b & 98.76 $\\pm$ 1.23 & $<$ 0.001 \\\\" in text
    assert "50 \\% \\#1 $<$b$>$ & -- & -- \\\\" in text
    assert to_latex(Table("t", "C", ["a"], [[words("[1pt]")], [words("*")]])).count("    {") == 2


def test_the_markdown_escapes_what_would_break_it():
    lines = to_markdown(TABLE).splitlines()
    assert lines[1] == "| --- | ---: | ---: |"
    assert lines[2] == r"| CLIF\_a\|b | 98.76 ± 1.23 | \< 0.001 |"
    assert r"\<b\>" in lines[3]
