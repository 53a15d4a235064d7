"""The results of `make wheels`: tags, content, and that they run without a compiler."""

import importlib.util
import os
import platform
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TAG = "manylinux_2_28_x86_64"
NEEDED = ("auditwheel", "build", "lief", "ziglang")

LAYER = """
import sys, pathlib
import torch, clif
assert clif.__file__.startswith(sys.prefix), clif.__file__
assert not any(pathlib.Path(sys.argv[1]).iterdir())
node = clif.CLIFNode(step_mode="m")
x = torch.rand(4, 3, 50) * 2
assert clif.backend_for(node, x) == ("cpu", ""), clif.backend_for(node, x)
found = []
for backend in ("cpu", "torch"):
    node.backend = backend
    clif.reset_net(node)
    leaf = x.clone().requires_grad_()
    spikes = node(leaf)
    (spikes * torch.arange(50)).sum().backward()
    found.append((spikes.detach(), leaf.grad))
assert 0 < found[0][0].mean() < 1
assert torch.equal(found[0][0], found[1][0])
torch.testing.assert_close(found[0][1], found[1][1])
assert not any(pathlib.Path(sys.argv[1]).iterdir()), "something was compiled"
"""

WITHOUT_TORCH = """
import compileall, ctypes, pathlib, sys, warnings
import clif
from clif import errors, files, instruction_sets, names, paths, registration
folder = pathlib.Path(clif.__file__).parent
assert str(folder).startswith(sys.prefix), folder
library = ctypes.CDLL(str(folder / "_kernels.so"))
print(clif.__version__, library.clif_interface(), "torch" in sys.modules)
warnings.simplefilter("error")
assert compileall.compile_dir(folder, quiet=1, force=True)
"""


def load(name: str) -> ModuleType:
    """A program in tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/wheels.py as a module."""
    return load("wheels")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tool) -> Path:
    """The sdist and the wheel for Linux on x86-64; those in $CLIF_TEST_WHEELS if it is set."""
    if lacking := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"pip install {' '.join(lacking)}")
    if given := os.environ.get("CLIF_TEST_WHEELS"):
        return Path(given)
    place = tmp_path_factory.mktemp("dist")
    tool.build_wheel(tool.build_sdist(place), TAG, place)
    return place


@pytest.fixture(scope="module")
def wheel(folder) -> Path:
    return only(folder, f"*{TAG}.whl")


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def environment_of(wheel: Path, folder: Path, python: str) -> tuple[Path, dict[str, str]]:
    """A new virtual environment with only the wheel: its Python, and variables that hide all other programs."""
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
    new = folder / "bin/python"
    variables = {"PATH": str(folder / "bin"), "HOME": str(folder)}
    command = [new, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(command, check=True, env=variables, capture_output=True)
    return new, variables


@pytest.mark.slow
def test_the_tags_of_a_wheel(wheel, tool):
    assert wheel.name.endswith(f"-py3-none-{TAG}.whl")
    content = zipfile.ZipFile(wheel)
    about = content.read(next(name for name in content.namelist() if name.endswith(".dist-info/WHEEL"))).decode()
    assert f"Tag: py3-none-{TAG}\n" in about
    assert "Root-Is-Purelib: false" in about
    assert "ELF X86_64" in tool.inspect(wheel)
    assert tool.audit(wheel).startswith("manylinux_2_")
    assert {"clif/py.typed", "clif/_kernels.so", "clif/csrc/unit.hpp"} < set(content.namelist())


@pytest.mark.slow
def test_an_older_tag_than_the_library_has_is_refused(wheel, tool, tmp_path):
    pretended = tmp_path / wheel.name.replace("2_28", "2_5")
    pretended.symlink_to(wheel)
    with pytest.raises(tool.WheelError, match="does not grant"):
        tool.audit(pretended)


@pytest.mark.slow
def test_a_wheel_without_kernels_is_refused(folder, tool, tmp_path, monkeypatch):
    monkeypatch.setitem(tool.PLATFORMS, TAG, tool.PLATFORMS[TAG]._replace(target="no-such-target"))
    with pytest.raises(tool.WheelError, match="not compiled"):
        tool.build_wheel(only(folder, "*.tar.gz"), TAG, tmp_path)
    assert not list(tmp_path.glob("*.whl"))


@pytest.mark.slow
def test_the_sdist_holds_tests_and_documents(folder):
    with tarfile.open(only(folder, "*.tar.gz")) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in ("tests/test_wheels.py", "docs/wheels.md", "tools/wheels.py", "Makefile", "CHANGELOG.md", "Dockerfile"):
        assert name in names
    assert any(name.startswith("tests/data/golden/") for name in names)
    assert not [name for name in names if name.endswith((".so", ".pyc"))]


@pytest.mark.slow
@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="not Linux on x86-64")
def test_the_kernels_run_where_there_is_no_compiler(wheel, tmp_path):
    python, variables = environment_of(wheel, tmp_path / "venv", sys.executable)
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    # The running environment provides clif's requirements; its .pth files are not read through a path in a .pth file.
    Path(packages, "required.pth").write_text(sysconfig.get_path("purelib"))
    cache = tmp_path / "cache"
    cache.mkdir()
    variables |= {"CLIF_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-c", LAYER, cache], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def interpreter(version: str) -> str | None:
    """A Python of that version, from PATH or pyenv."""
    places = [Path(part) / f"python{version}" for part in os.environ.get("PATH", "").split(os.pathsep)]
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for path in (*places, *root.glob(f"versions/{version}.*/bin/python")):
        if path.is_file() and "shims" not in path.parts:
            return str(path)
    return None


@pytest.mark.slow
@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="not Linux on x86-64")
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_wheel_installs_in_every_python(wheel, version, tmp_path):
    found = interpreter(version)
    if found is None:
        pytest.skip(f"no Python {version}")
    python, variables = environment_of(wheel, tmp_path / "venv", found)
    done = subprocess.run(
        [python, "-c", WITHOUT_TORCH], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    namespace: dict[str, str] = {}
    exec((ROOT / "src/clif/version.py").read_text(), namespace)
    assert done.stdout.split() == [namespace["__version__"], "6", "False"]


def test_the_wheels_have_the_interface_that_python_calls(tool):
    assert {"clif_interface", "clif_isa", "clif_unit_forward", "clif_pack", "clif_shipped_unit"} <= tool.interface()


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_name_what_is_there(path, tool):
    content = yaml.safe_load(path.read_text())
    steps = [step for job in content["jobs"].values() for step in job["steps"]]
    commands = " ".join(step.get("run", "") for step in steps)
    targets = {word for word in commands.split() if word.startswith(("test", "wheels"))}
    assert all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in targets - {"tests"})
    for job in content["jobs"].values():
        for one in job.get("strategy", {}).get("matrix", {}).get("platform", []):
            assert one["wheel"] in tool.PLATFORMS


def test_the_licences_are_those_of_every_requirement():
    text = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    licences = load("licences")
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if "|" in line]
    assert {(name, use) for name, use, _ in rows[2:]} == set(licences.requirements().items())
    assert text.startswith(licences.HEAD)


def test_the_citation_has_the_version_and_the_paper():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    import clif

    assert content["version"] == clif.__version__
    assert content["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "type"} < content.keys()
    paper = content["preferred-citation"]
    assert (paper["authors"][0]["family-names"], paper["year"]) == ("Huang", 2024)
