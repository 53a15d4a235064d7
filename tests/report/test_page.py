"""The page and its files: complete without other files, with everything from runs escaped."""

import base64
import csv
import dataclasses
import hashlib
import io
import re
from html.parser import HTMLParser
from importlib import resources

import pytest
from run_folders import write_deployment, write_energy, write_pair, write_run

from clif.errors import InputError
from clif.report import find_runs, make_report, write_page
from clif.report.charts import Chart, Line, chart_csv, draw
from clif.report.content import Section
from clif.report.exports import export_files, figure_files

NASTY = "<script>alert(1)</script>&\"'</script>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folders = write_pair(tmp_path_factory.mktemp("logs"), seeds=(0, 1))
    for folder in folders:
        write_deployment(folder)
        write_energy(folder)
    return folders


@pytest.fixture(scope="module")
def page(folders, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(make_report(find_runs(folders)), path)
    return path


def test_the_library_is_the_one_that_is_stated_and_its_licence_is_in_the_page(page):
    folder = resources.files("clif.report") / "uplot"
    stated = re.findall(r"`([^`]+)` \| `([0-9a-f]{64})`", (folder / "README.md").read_text())
    assert {name for name, _ in stated} == {"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"}
    for name, digest in stated:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert "Permission is hereby granted" in page.read_text()


class Links(HTMLParser):
    """The links of a page, and its ids."""

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.scripts = [], [], 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        self.scripts += tag == "script"


def parse(text):
    parser = Links()
    parser.feed(text)
    return parser


def test_the_page_needs_nothing_else(page):
    parsed = parse(page.read_text())
    assert all(link.startswith(("data:", "#")) for link in parsed.links)
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "@import" not in page.read_text()


def test_the_files_beside_the_page_are_those_in_it(page):
    folder = page.with_name("page_files")
    endings = {path.suffix for path in folder.iterdir()}
    assert endings == {".svg", ".pdf", ".png", ".csv", ".tex", ".md"}
    embedded = dict(re.findall(r'download="([^"]+)" href="data:[^,]+,([^"]*)"', page.read_text()))
    assert set(embedded) == {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        assert base64.b64decode(embedded[path.name]) == path.read_bytes()


def test_every_figure_has_three_formats_and_its_numbers(page, folders):
    folder = page.with_name("page_files")
    for chart in make_report(find_runs(folders)).charts:
        assert (folder / f"{chart.name}.svg").read_text().startswith("<?xml")
        assert (folder / f"{chart.name}.pdf").read_bytes().startswith(b"%PDF")
        assert (folder / f"{chart.name}.png").read_bytes().startswith(b"\x89PNG")
        assert len((folder / f"{chart.name}.csv").read_text().splitlines()) == len(chart.x) + 1


@pytest.mark.slow
def test_the_same_report_gives_the_same_files(folders):
    one, other = (export_files(make_report(find_runs(folders[:2]))) for _ in range(2))
    assert one == other


def test_tables_of_one_name_are_refused(folders):
    report = make_report(find_runs(folders[:1]))
    doubled = dataclasses.replace(
        report, sections=[*report.sections, Section("more", "More", tables=report.tables[:1])]
    )
    with pytest.raises(ValueError, match="several figures or tables named table_final"):
        export_files(doubled)


def test_names_and_warnings_of_runs_are_text(tmp_path):
    folder = write_run(tmp_path / "run <script>alert(1)<", name=NASTY.replace("/", "|"), neuron=NASTY)
    (folder / "warnings.json").write_text(f'[{{"epoch": 0, "message": "{NASTY.replace(chr(34), "")}"}}]')
    report = make_report(find_runs([folder, write_run(tmp_path / "other")]), title=NASTY)
    clean = make_report(find_runs([write_run(tmp_path / "clean"), write_run(tmp_path / "clean2", neuron="CLIF")]))
    write_page(report, tmp_path / "nasty.html", files=False)
    write_page(clean, tmp_path / "clean.html", files=False)
    nasty = (tmp_path / "nasty.html").read_text()
    assert "<script>alert" not in nasty
    assert parse(nasty).scripts == parse((tmp_path / "clean.html").read_text()).scripts
    assert NASTY.replace("<", "&lt;").replace(">", "&gt;")[:20] in nasty


def test_the_lead_counts_runs_and_groups(folders):
    assert "2 groups, whose runs differ only in the seed" in make_report(find_runs(folders)).lead


def test_files_can_be_left_out(folders, tmp_path):
    write_page(make_report(find_runs(folders[:1])), tmp_path / "page.html", files=False)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert "data:application/pdf" in (tmp_path / "page.html").read_text()


def test_a_page_that_cannot_be_written_is_one_error(folders, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_page(make_report(find_runs(folders[:1])), tmp_path / "file" / "page.html", files=False)


CHART = Chart(
    "c", "Title", "epoch", "accuracy (%)", [1.0, 2.0], [Line(0, "CLIF", {0: [1.0, 2.0], 1: [3.0, float("nan")]})]
)


def test_the_numbers_of_a_chart_are_means_and_runs():
    first, second, third = csv.reader(io.StringIO(chart_csv(CHART, ["a", "b"])))
    assert first == ["epoch", "CLIF mean", "CLIF std", "CLIF n", "CLIF a", "CLIF b"]
    assert second == ["1", "2", "1.414213562", "2", "1", "3"]
    assert third == ["2", "2", "", "1", "2", ""]
    assert CHART.as_json()["lines"][0]["runs"][1]["y"] == [3.0, None]
    assert CHART.describe() == "Title by epoch. CLIF: 2.00 ± 1.41 to 2.00."


def test_a_figure_is_a_column_wide_with_bands_and_its_number_of_runs():
    figure = draw(CHART)
    (axes,) = figure.axes
    assert figure.get_size_inches()[0] == pytest.approx(3.35)
    assert axes.get_legend().get_texts()[0].get_text() == "CLIF (n = 2)"
    (band,) = axes.collections
    low, high = (band.get_paths()[0].vertices[:, 1].__getattribute__(which)() for which in ("min", "max"))
    assert (low, high) == (pytest.approx(2 - 2**0.5), pytest.approx(2 + 2**0.5))
    assert b"/FontFile2" in figure_files(figure)["pdf"]


def test_any_name_and_any_number_of_groups_can_be_drawn():
    labels = ["$x_1", "a" * 200, "two\nlines", "ß µ τ", "<b>", "%s"]
    lines = [Line(i, label, {0: [1.0, 2.0]}) for i, label in enumerate(labels)]
    figure = draw(Chart("c", "T", "x", "y", [1.0, 2.0], lines))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["$x_1", "a" * 31 + "…", "two lines", "ß µ τ", "<b>", "%s"]
    assert figure_files(figure)["png"]


def test_a_run_that_has_diverged_can_be_drawn():
    lines = [Line(0, "CLIF", {0: [1.0, float("inf")], 1: [float("nan"), float("nan")]})]
    assert figure_files(draw(Chart("c", "T", "x", "y", [1.0, 2.0], lines)))["svg"]
    assert figure_files(draw(Chart("c", "T", "x", "y", [1.0], [Line(0, "a", {0: [float("nan")]})], bars=True)))["svg"]
