"""The compiler of units: the choice of one, and the errors if there is none or it fails."""

import sys

import pytest

from clif.generate import compiler


@pytest.fixture
def search(monkeypatch):
    """`find` without its cached result, in an environment without compilers."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiler, "find_spec", lambda _: None)
    compiler.find.cache_clear()
    yield compiler.find
    compiler.find.cache_clear()


def test_without_a_compiler_it_is_said_what_to_install(search):
    with pytest.raises(compiler.CompilerError, match=r"install g\+\+ or clang\+\+, or the package ziglang"):
        search()


def test_the_variable_cxx_names_the_compiler(search, monkeypatch, tmp_path):
    script = tmp_path / "my compiler.py"
    script.write_text("print('clang version 99')")
    monkeypatch.setenv("CXX", f"{sys.executable} '{script}'")
    assert search().command == (sys.executable, str(script))
    assert "-nostdlib++" in search().flags


@pytest.mark.usefixtures("search")
def test_a_compiler_that_fails_is_quoted(monkeypatch, tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        "import sys\nif '--version' in sys.argv: sys.exit()\nprint('unit: error: no', file=sys.stderr)\nexit(1)"
    )
    monkeypatch.setenv("CXX", f"{sys.executable} {script}")
    with pytest.raises(compiler.CompilerError, match="failed: unit: error: no"):
        compiler.compile_unit("int x;", "baseline", tmp_path / "x.so")
