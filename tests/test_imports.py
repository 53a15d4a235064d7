"""No module of the package imports itself through others, also not for types."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"


def modules() -> dict[str, str]:
    """The text of every module by its dotted name; that of a package is its `__init__`."""
    paths = {path.relative_to(SRC).with_suffix("").parts: path for path in SRC.glob("clif/**/*.py")}
    return {".".join(parts).removesuffix(".__init__"): path.read_text("utf-8") for parts, path in paths.items()}


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports outside of functions, including those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child)


def imported(module: str, text: str, known: set[str]) -> set[str]:
    """The modules that a module imports, and the packages that contain them but not the module."""
    names = set()
    for statement in statements(ast.parse(text)):
        base = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
        full = [base + alias.name for alias in statement.names]
        names |= {name if name in known else base[:-1] for name in full}
    packages = {name.rsplit(".", k)[0] for name in names for k in range(1, name.count(".") + 1)}
    return (names | {package for package in packages if not module.startswith(f"{package}.")}) & known - {module}


def circle(texts: dict[str, str]) -> list[str]:
    """A circle of modules, each of which imports the next one; empty if there is none."""
    try:
        TopologicalSorter({name: imported(name, text, set(texts)) for name, text in texts.items()}).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_the_import_graph_has_no_circle():
    assert not circle(modules())


@pytest.mark.parametrize(
    "back", ["import a.b", "if TYPE_CHECKING:\n    from a import b", "class C:\n    from a.b import x"]
)
def test_a_circle_is_found(back):
    texts = {"a": "", "a.b": "from a.c import x", "a.c": back}
    assert set(circle(texts)) == {"a.b", "a.c"}
    assert not circle({**texts, "a.c": "def f():\n    import a.b"})
