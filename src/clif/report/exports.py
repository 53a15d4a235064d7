"""The figures and tables of a report as files for a paper."""

import io
from collections import Counter
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from clif.errors import InputError
from clif.files import write_content
from clif.report.charts import STYLE, chart_csv, draw
from clif.report.content import Report
from clif.report.tables import Table, to_csv, to_latex, to_markdown

FIGURE_FORMATS = ("svg", "pdf", "png")
DPI = 300
WITHOUT_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def export_files(report: Report) -> dict[str, dict[str, bytes]]:
    """Name of a figure or table -> file extension -> content: svg, pdf, png, csv of figures, csv, tex, md of tables.

    Raises `ValueError` if two figures or two tables have one name.
    """
    tables = [f"table_{table.name}" for table in report.tables]
    figures = [*(chart.name for chart in report.charts), *(picture.name for picture in report.pictures)]
    names = Counter(figures + tables)
    if doubled := [name for name, number in names.items() if number > 1]:
        raise ValueError(f"the report has several figures or tables named {', '.join(doubled)}; give each its own name")
    run_names = [run.name for run in report.runs]
    files: dict[str, dict[str, bytes]] = {}
    for chart in report.charts:
        files[chart.name] = {**figure_files(draw(chart)), "csv": chart_csv(chart, run_names).encode()}
    for picture in report.pictures:
        files[picture.name] = {**figure_files(picture.figure), "csv": picture.csv.encode()}
    for name, table in zip(tables, report.tables, strict=True):
        files[name] = table_files(table)
    return files


def table_files(table: Table) -> dict[str, bytes]:
    """A table as CSV, LaTeX and Markdown."""
    texts = {"csv": to_csv(table), "tex": to_latex(table), "md": to_markdown(table)}
    return {ending: text.encode() for ending, text in texts.items()}


def figure_files(figure: Figure) -> dict[str, bytes]:
    """A figure in the three formats, without dates, so that the same figure gives the same bytes."""
    files = {}
    for form in FIGURE_FORMATS:
        buffer = io.BytesIO()
        with rc_context(STYLE):
            figure.savefig(buffer, format=form, dpi=DPI, metadata=WITHOUT_DATE[form])
        files[form] = buffer.getvalue()
    return files


def write_files(folder: Path, files: dict[str, dict[str, bytes]]) -> None:
    """Write NAME.EXTENSION for each of them to the folder. Raises `InputError` if it cannot be written."""
    try:
        for name, formats in files.items():
            for ending, content in formats.items():
                write_content(folder / f"{name}.{ending}", content)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error}); choose another --out, or add --no-files") from error
