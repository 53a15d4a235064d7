"""Write docs/licences.md: the licences of what clif and its extras require, as those packages state them."""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).resolve().parent.parent / "docs/licences.md"
ORACLES = ("spikingjelly", "loguru")
HEAD = """# Licences of the dependencies

clif is under Apache-2.0. It copies no code of these packages; they are installed beside it. The table is written by
`python tools/licences.py` from what the installed packages state of themselves.

The compiled library in the wheels of `make wheels` is linked with LLVM's libc++, libc++abi and libunwind (Apache-2.0
WITH LLVM-exception) and zig's compiler-rt (MIT), that for Windows also with start-up code of mingw-w64 (ZPL-2.1). A
build by the system's own compiler takes the system's.

"""


def stated(name: str) -> str:
    """What a package says of its licence: its SPDX expression, its classifiers, or the first line of its text."""
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [line.split(" :: ")[-1] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    if named := [text for text in classifiers if text != "OSI Approved"]:
        return ", ".join(named)
    return (about.get("License") or "not stated").strip().splitlines()[0]


def rows() -> list[tuple[str, str, str]]:
    """Package, what it is for, and licence."""
    found: dict[str, tuple[str, str, str]] = {}
    for line in metadata.requires("clif-snn") or []:
        requirement = Requirement(line)
        if requirement.name == "clif-snn":
            continue
        extra = re.search(r"""extra == ['"](\w+)['"]""", line)
        use = f"extra `{extra[1]}`" if extra else "required"
        try:
            licence = stated(requirement.name)
        except metadata.PackageNotFoundError:
            licence = "not installed when this was written"
        found.setdefault(requirement.name.lower(), (requirement.name, use, licence))
    for name in ORACLES:
        found[name] = (name, "tests, installed by `make`", stated(name))
    return sorted(found.values(), key=lambda row: (row[1] != "required", row[1], row[0].lower()))


def main() -> None:
    lines = ["| package | for | licence |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows())]
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
