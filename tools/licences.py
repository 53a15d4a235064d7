"""Write docs/licences.md: the licences of the packages that clif and its extras require, from their metadata."""

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/licences.md"
ORACLES = ("spikingjelly", "loguru")
HEAD = """# Licences of the dependencies

clif is licensed under Apache-2.0. The package contains a copy of uPlot (MIT, `clif/report/uplot`), which draws the
charts of reports; each page contains uPlot's licence. clif contains no code of the packages in the table, which are
installed beside it. `python tools/licences.py` writes the table from `pyproject.toml` and from the metadata of the
installed packages.

The compiled library in the wheels of `make wheels` is linked with LLVM's libc++, libc++abi and libunwind (Apache-2.0
WITH LLVM-exception) and zig's compiler-rt (MIT). The library for Windows is also linked with start-up code of mingw-w64
(ZPL-2.1). A build with the system's compiler uses the system's libraries.

"""


def stated(name: str) -> str:
    """A package's licence: its SPDX expression, its classifiers, or the first line of its text."""
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    if named := [text for text in classifiers if text != "OSI Approved"]:
        return ", ".join(named)
    paths = [path for path in metadata.files(name) or [] if path.name in about.get_all("License-File", [])]
    text = about.get("License") or (paths[0].read_text() if paths else "not stated")
    return text.strip().splitlines()[0].strip()


def rows() -> list[tuple[str, str, str]]:
    """The package, its use, and its licence."""
    found = [(name, use, _licence(name)) for name, use in requirements().items()]
    return sorted(found, key=lambda row: (row[1] != "required", row[1], row[0].lower()))


def requirements() -> dict[str, str]:
    """The packages that clif, its extras and its tests require, each with its first use."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    uses = [("required", project["dependencies"])]
    uses += [(f"extra `{extra}`", lines) for extra, lines in project["optional-dependencies"].items()]
    uses += [("tests, installed by `make`", ORACLES)]
    found: dict[str, str] = {}
    for use, lines in uses:
        for line in lines:
            found.setdefault(Requirement(line).name, use)
    del found[project["name"]]
    return found


def _licence(name: str) -> str:
    try:
        return stated(name)
    except metadata.PackageNotFoundError:
        return "not installed when this was written"


def main() -> None:
    lines = ["| package | for | licence |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows())]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
