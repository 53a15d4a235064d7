"""The page in Chromium at two widths and in both themes: charts, sorted tables, hidden runs, and no errors."""

import itertools

import pytest
from chromium import CHROMIUM, MISSING, Chromium
from run_folders import write_deployment, write_energy, write_pair, write_run

from clif.report import find_runs, make_report, write_page
from clif.report.page import Live

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason=MISSING)]

PAINTED = """(() => {
  const canvas = document.querySelector("#chart-test_top1 canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 255) seen.add(pixels.slice(i, i + 3).join());
  return [...seen];
})()"""
TABLE = """[...document.querySelectorAll("#table-runs tbody tr")].filter(row => !row.hidden)
  .map(row => [row.cells[2].textContent, row.cells[4].textContent])"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("logs")
    folders = [*write_pair(root), write_run(root / "unfinished <script>alert(1)</script>".replace("/", "|"), 7, done=2)]
    for i, folder in enumerate(folders[:-1]):
        write_deployment(folder)
        write_energy(folder, microjoule=[30.0, 20.0][i // 3] + i % 3)
    path = root / "page.html"
    write_page(make_report(find_runs(folders)), path, files=False)
    return path


@pytest.fixture(scope="module")
def browser():
    with Chromium() as browser:
        yield browser


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_is_drawn_at_any_width_in_both_themes_without_complaints(browser, page_file, width, dark):
    page = browser.open(page_file, width=width, dark=dark)
    assert page.value("document.documentElement.scrollWidth") == width
    shown = "[...document.querySelectorAll('.plot')].filter(box => box.checkVisibility())"
    assert page.value(f"{shown}.length") >= 6
    assert page.value(f"{shown}.every(box => box.querySelector('canvas'))")
    background = page.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(20, 24, 29)") == dark
    blue, orange = ("91,184,230", "242,148,111") if dark else ("11,110,153", "201,83,47")
    assert {blue, orange} <= set(page.value(PAINTED))
    assert page.complaints() == []


def test_a_table_sorts_by_mouse_and_keyboard_and_says_how(browser, page_file):
    page = browser.open(page_file)
    heading = "document.querySelectorAll('#table-runs thead th')[4]"
    page.value(f"{heading}.querySelector('button').click()")
    accuracies = [float(accuracy) for _, accuracy in page.value(TABLE)]
    assert accuracies == sorted(accuracies)
    assert len(set(accuracies)) > 3
    assert page.value(f"{heading}.getAttribute('aria-sort')") == "ascending"
    page.value(f"{heading}.querySelector('button').focus()")
    page.press("Enter")
    assert [float(accuracy) for _, accuracy in page.value(TABLE)] == accuracies[::-1]
    assert page.value(f"{heading}.getAttribute('aria-sort')") == "descending"
    page.value("document.querySelectorAll('#table-runs thead th')[2].querySelector('button').click()")
    assert [seed for seed, _ in page.value(TABLE)] == ["0", "0", "1", "1", "2", "2", "7"]
    assert page.value("document.querySelectorAll('#table-runs [aria-sort]').length") == 1


def test_runs_and_groups_are_hidden_from_charts_and_tables(browser, page_file):
    page = browser.open(page_file)
    assert page.value("document.getElementById('count').textContent") == "7 of 7"
    page.value("document.querySelector('[data-run-box=\"0\"]').click()")
    assert page.value("document.getElementById('count').textContent") == "6 of 7"
    assert len(page.value(TABLE)) == 6
    assert page.value("document.querySelector('[data-group-box=\"0\"]').indeterminate")
    page.value("document.querySelector('[data-group-box=\"0\"]').click()")
    page.settle()
    assert "11,110,153" not in page.value(PAINTED)
    assert len(page.value(TABLE)) == 4
    page.value("document.querySelector('[data-group-box=\"1\"]').click()")
    assert page.value("document.querySelector('#chart-test_top1 .nothing').textContent") == "All runs are hidden."
    page.value("document.querySelector('[data-group-box=\"1\"]').click()")
    assert "201,83,47" in page.value(PAINTED)
    assert page.complaints() == []


def test_points_show_their_values_under_the_mouse_and_by_keys(browser, page_file):
    page = browser.open(page_file)
    tip = "document.querySelector('#chart-test_top1 .tip')"
    page.value("document.querySelector('#chart-test_top1').scrollIntoView()")
    left, top, width, height = page.value(
        "(() => { const r = document.querySelector('#chart-test_top1 .u-over').getBoundingClientRect();"
        " return [r.left, r.top, r.width, r.height]; })()"
    )
    assert page.value(f"{tip}.hidden")
    page.point(left + width - 5, top + height / 2)
    text = page.value(f"{tip}.textContent")
    assert text.startswith("epoch 3")
    assert "LIF: 83.50 ± 0.62" in text
    page.value("document.querySelector('#chart-test_loss .plot').focus()")
    page.press("ArrowRight")
    spoken = "document.querySelector('#chart-test_loss [role=status]').textContent"
    assert page.value(spoken).startswith("epoch 1; CLIF: ")
    page.press("End")
    assert page.value(spoken).startswith("epoch 3; ")
    assert page.complaints() == []


def test_bars_and_folded_charts_are_drawn_when_they_are_shown(browser, page_file):
    page = browser.open(page_file)
    page.value("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.settle()
    page.settle()
    assert page.value("[...document.querySelectorAll('.plot')].every(box => box.querySelector('canvas'))")
    page.value("document.querySelector('#chart-energy .plot').focus()")
    page.press("End")
    spoken = page.value("document.querySelector('#chart-energy [role=status]').textContent")
    assert spoken == "part of the network both; CLIF: 12.00 ± 0.00; LIF: 12.00 ± 0.00"
    assert page.value("document.documentElement.scrollWidth") == 1280


def test_accuracy_against_energy_has_a_point_a_group(browser, page_file):
    page = browser.open(page_file)
    box, tip = "document.querySelector('#chart-accuracy_energy .plot')", "#chart-accuracy_energy [role=status]"
    page.value(f"{box}.scrollIntoView()")
    page.settle()
    painted = page.value(PAINTED.replace("#chart-test_top1", "#chart-accuracy_energy"))
    assert {"11,110,153", "201,83,47"} <= set(painted)
    page.value(f"{box}.focus()")
    page.press("ArrowRight")
    spoken = page.value(f"document.querySelector('{tip}').textContent")
    assert spoken == "LIF; energy of an inference (µJ): 21.00 ± 1.00; test accuracy (%): 83.50 ± 0.62"
    page.press("End")
    assert page.value(f"document.querySelector('{tip}').textContent").startswith("CLIF; energy of an inference")
    page.value("document.getElementById('singles').click()")
    page.settle()
    page.value("document.querySelector('[data-group-box=\"0\"]').click()")
    page.settle()
    assert "11,110,153" not in page.value(PAINTED.replace("#chart-test_top1", "#chart-accuracy_energy"))
    assert page.complaints() == []


def test_the_theme_is_the_systems_until_it_is_chosen(browser, page_file):
    page = browser.open(page_file)
    background = "getComputedStyle(document.body).backgroundColor"
    page.value("document.getElementById('theme').click()")
    page.settle()
    assert page.value(background) == "rgb(20, 24, 29)"
    assert "91,184,230" in page.value(PAINTED)
    page.value("document.getElementById('theme').click()")
    assert page.value(background) == "rgb(255, 255, 255)"
    page.value("localStorage.clear()")


def test_everything_can_be_reached_and_has_a_name(browser, page_file):
    page = browser.open(page_file)
    page.press("Tab")
    assert page.value("document.activeElement.className") == "skip"
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "link", "checkbox", "image", "table", "region", "group"}
    named = [node for node in nodes if node.get("role", {}).get("value") in roles and not node.get("ignored")]
    assert len(named) > 50
    unnamed = [node for node in named if not node.get("name", {}).get("value") and node["role"]["value"] != "group"]
    assert unnamed == []
    levels = page.value("[...document.querySelectorAll('h1, h2, h3')].map(heading => Number(heading.tagName[1]))")
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert page.value("[...document.querySelectorAll('thead th')].every(th => th.scope === 'col')")
    assert page.value("document.documentElement.lang") == "en"


def test_a_live_page_loads_itself_anew_keeps_what_is_hidden_and_can_be_paused(browser, tmp_path):
    path = tmp_path / "page.html"
    runs = find_runs([write_run(tmp_path / "a", epochs=9, done=2), write_run(tmp_path / "b", 1, epochs=9, done=2)])
    write_page(make_report(runs), path, live=Live(1, "a: training after 2 of 9 epochs"))
    page = browser.open(path)
    assert "training after 2 of 9" in page.value("document.querySelector('.live').textContent")
    page.value("document.querySelector('[data-run-box=\"1\"]').click()")
    page.value("window.before = true")
    browser.events.clear()
    browser.wait_for("Page.loadEventFired", page.session)
    page.settle()
    assert page.value("window.before") is None
    assert page.value("document.getElementById('count').textContent") == "1 of 2"
    page.value("document.getElementById('pause').click()")
    assert page.value("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    assert page.complaints() == []
