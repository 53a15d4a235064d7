"""A report as one HTML page that needs no network access and no other file."""

import base64
import re
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

import clif
from clif.errors import InputError
from clif.files import write_content
from clif.paths import expand_home
from clif.report.charts import COLOURS, DASHES
from clif.report.content import Report
from clif.report.exports import export_files, write_files

MEDIA_TYPES = {
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "png": "image/png",
    "csv": "text/csv",
    "tex": "text/x-tex",
    "md": "text/markdown",
}
ENDING_NAMES = {"svg": "SVG", "pdf": "PDF", "png": "PNG", "csv": "CSV", "tex": "LaTeX", "md": "Markdown"}


@dataclass(frozen=True)
class Live:
    """A page of runs in training: the seconds between reloads, and the progress of the runs."""

    seconds: int
    state: str


def write_page(report: Report, path: str | Path, files: bool = True, live: Live | None = None) -> None:
    """Write the page, and with `files` also all figures and tables to the folder PAGE_files beside it.

    The page embeds the same files. A `live` page has none. Raises `InputError` if it cannot be written.

    >>> _ = clif.train.fit(clif.train.resolve("digits", T=1, max_steps=2), quiet=True)
    >>> report = clif.report.make_report(clif.report.find_runs(["logs"]))
    >>> clif.report.write_page(report, "report.html", files=False)
    >>> Path("report.html").is_file()
    True
    """
    path = Path(expand_home(path))
    exports = {} if live else export_files(report)
    html = render(report, exports, live)
    try:
        write_content(path, html)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error}); choose another --out") from error
    if files and exports:
        write_files(files_folder(path), exports)


def files_folder(path: Path) -> Path:
    """The folder of the files of a page: PAGE_files."""
    return path.with_name(f"{path.stem}_files")


def render(report: Report, exports: dict[str, dict[str, bytes]], live: Live | None = None) -> str:
    """The page as text; content from runs is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("clif", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data_url"] = _data_url
    environment.filters["breakable"] = _breakable
    return environment.get_template("page.html").render(
        report=report,
        exports=exports,
        live=live,
        data={"title": report.title, "charts": [chart.as_json() for chart in report.charts]},
        colours=len(COLOURS),
        dashes=len(DASHES),
        ending_names=ENDING_NAMES,
        version=clif.__version__,
        written=time.strftime("%Y-%m-%d %H:%M"),
        style=_text("page.css"),
        script=_text("page.js"),
        plot_style=_text("uplot/uPlot.min.css"),
        plot_script=_text("uplot/uPlot.iife.min.js"),
        plot_licence=_text("uplot/LICENSE"),
    )


def _text(name: str) -> Markup:
    """A file of the package; it is trusted and inserted unchanged."""
    return Markup(resources.files("clif.report").joinpath(name).read_text(encoding="utf-8"))


def _breakable(text: str) -> Markup:
    """Escaped text whose lines may break after _ and /, which separate the words in names of runs and files."""
    return Markup(re.sub(r"([_/])(?=\w)", r"\1<wbr>", str(escape(text))))


def _data_url(content: bytes, ending: str) -> str:
    return f"data:{MEDIA_TYPES[ending]};base64,{base64.b64encode(content).decode()}"
