"""The documentation as a site: it builds, with every page in it and every public name in the reference."""

import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import public_names
import pytest

from clif.cli import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = {f"notebooks/{path.stem}" for path in (DOCS.parent / "examples/notebooks").glob("*.ipynb")}
PAGES = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in DOCS.glob("**/*.md")}
REFERENCE = "".join(path.read_text("utf-8") for path in sorted((DOCS / "reference").glob("*.md")))


def listed():
    """The pages in a toctree."""
    for name, path in PAGES.items():
        text = path.read_text("utf-8")
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if line and not line.startswith(":"):
                    yield (Path(name).parent / re.sub(r"^.*<(.*)>$", r"\1", line)).as_posix()


def test_every_page_is_in_one_toctree():
    found = sorted(listed())
    assert found == sorted((set(PAGES) | NOTEBOOKS) - {"index"})
    assert len(NOTEBOOKS) == 3


def test_every_module_and_command_has_its_place_in_the_reference():
    modules = set(re.findall(r"automodule:: (\S+)", REFERENCE))
    assert modules >= set(public_names.MODULES)
    assert re.findall(r"\{clif-command\} (\w+)", REFERENCE) == list(COMMANDS)


def test_every_public_constant_is_named_in_the_reference():
    for module, name, value in public_names.public_names():
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            assert f"py:data:: {module}.{name}" in REFERENCE


def test_every_link_of_the_readme_leads_to_a_file():
    text = (DOCS.parent / "README.md").read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (DOCS.parent / link).is_file()] == []


class Links(HTMLParser):
    """The links of a page, and the ids to which others may link."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):  # noqa: ARG002
        given = dict(attributes)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        self.targets += [given[key] for key in ("href", "src") if given.get(key)]


def broken(folder):
    """Links from a page of the site to a missing file or id."""
    pages = {path.resolve(): Links(path.read_text("utf-8")) for path in folder.glob("**/*.html")}
    for path, links in pages.items():
        for link in links.targets:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].ids if target in pages else set()
            if not target.exists() or (parts.fragment and target in pages and unquote(parts.fragment) not in known):
                yield path.name, link


@pytest.mark.slow
def test_the_site_builds_and_has_no_broken_link(tmp_path):
    pytest.importorskip("furo")
    pytest.importorskip("myst_nb")
    inventory = pytest.importorskip("sphinx.util.inventory")
    options = ["-E", "-n", "-W", "--keep-going", "-q", "-d", tmp_path / "doctrees", "-b", "html"]
    line = [sys.executable, "-m", "sphinx", *options, DOCS, tmp_path / "site"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(broken(tmp_path / "site")) == []
    for name in NOTEBOOKS:  # with stored outputs
        page = (tmp_path / f"site/{name}.html").read_text("utf-8")
        assert page.count("<h1>") == 1
        assert 'class="output stream' in page
        assert "<img" in page
    names = inventory.InventoryFile.loads((tmp_path / "site/objects.inv").read_bytes(), uri="").data
    described = {name for kind, found in names.items() if kind.startswith("py:") for name in found}
    assert {name for name, _ in public_names.described()} <= described


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">b</a><a href="b.html#gone">b</a><img src="c.png">')
    (tmp_path / "b.html").write_text('<p id="here">')
    assert list(broken(tmp_path)) == [("a.html", "b.html#gone"), ("a.html", "c.png")]
