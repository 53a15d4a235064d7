"""The sdist and one wheel per platform, all built on this machine by `zig c++`, and inspected (`make wheels`).

A wheel is built from the unpacked sdist and must contain the compiled library. The library exports only the C interface
and needs only the system's own libraries; auditwheel confirms the tags of the wheels for Linux.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Platform(NamedTuple):
    """A wheel's platform: zig's name of the target, the library's name, and the system libraries that it may need."""

    target: str
    library: str
    needs: str
    tested: str


LINUX, MACOS = r"lib(c|m|dl|pthread)\.so\.\d+|ld-linux-.*", r"/usr/lib/libSystem\.B\.dylib"
WINDOWS = r"(?i)(kernel32|ntdll|api-ms-win-[\w-]+)\.dll"
UNTESTED = "untested: never loaded"
EXPORTED = re.compile(r'^(?:extern "C" )?CLIF_EXPORT .*?(clif_\w+)\(', re.MULTILINE)

PLATFORMS = {
    "manylinux_2_28_x86_64": Platform("x86_64-linux-gnu.2.28", "_kernels.so", LINUX, "tested"),
    "manylinux_2_28_aarch64": Platform("aarch64-linux-gnu.2.28", "_kernels.so", LINUX, "library tested under qemu"),
    "macosx_15_0_arm64": Platform("aarch64-macos", "_kernels.dylib", MACOS, UNTESTED),
    "macosx_15_0_x86_64": Platform("x86_64-macos", "_kernels.dylib", MACOS, UNTESTED),
    "win_amd64": Platform("x86_64-windows-gnu", "_kernels.dll", WINDOWS, UNTESTED),
}
"""The platforms by the wheel's tag."""


class WheelError(RuntimeError):
    """A wheel was not built, or differs from its description."""


def run(command: list[object], **options) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise WheelError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def build_sdist(out: Path) -> Path:
    """The sdist of the working tree, in `out`."""
    run([sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", out, ROOT])
    return max(out.glob("clif_snn-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def build_wheel(sdist: Path, tag: str, out: Path) -> Path:
    """The wheel for the platform `tag`, of the sources in `sdist`. Raises `WheelError`."""
    command = f"{sys.executable} -m ziglang c++ -target {PLATFORMS[tag].target}"
    linker = f"{command} -shared"
    variables = {"CC": command, "CXX": command, "LDSHARED": linker, "LDCXXSHARED": linker}
    # Flags of the running Python are for its own platform, so the build must not use them.
    variables |= dict.fromkeys(("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"), "")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        option = f"--config-setting=--build-option=--plat-name={tag}"
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", option, "--outdir", out, source]
        said = run(build, env={**os.environ, **variables})
    wheel = out / f"{sdist.name.removesuffix('.tar.gz')}-py3-none-{tag}.whl"
    if not wheel.is_file():
        raise WheelError(f"no {wheel} was built:\n{said}")
    if f"clif/{PLATFORMS[tag].library}" not in zipfile.ZipFile(wheel).namelist():
        wheel.unlink()
        raise WheelError(f"the kernels were not compiled for {tag}:\n{said}")
    return wheel


def interface() -> set[str]:
    """The names of the functions that the library must export."""
    sources = (ROOT / "src/clif/csrc").rglob("*.cpp")
    texts = [path.read_text(encoding="utf-8") for path in sources]
    return {name for text in texts for name in EXPORTED.findall(text)}


def inspect(wheel: Path) -> str:
    """The system libraries that a wheel's library needs, in words. Raises `WheelError` if the library is wrong."""
    import lief

    lief.logging.disable()

    tag = wheel.stem.split("-")[-1]
    platform = PLATFORMS[tag]
    with tempfile.TemporaryDirectory() as folder:
        file = zipfile.ZipFile(wheel).extract(f"clif/{platform.library}", folder)
        binary = lief.parse(file)
        if binary is None:
            raise WheelError(f"{wheel.name}: {platform.library} is no library")
        kind = f"{binary.format.name} {_processor(binary)}"
        exported = {function.name.removeprefix("_") for function in binary.exported_functions}
        # A library for macOS lists itself among the libraries that it needs.
        named = {str(getattr(library, "name", library)) for library in binary.libraries}
        needed = sorted(name for name in named if Path(name).name != platform.library)
        oldest = tuple(binary.build_version.minos) if tag.startswith("macosx") else ()
    if missing := interface() - exported:
        raise WheelError(f"{wheel.name}: {platform.library} lacks {', '.join(sorted(missing))}")
    strangers = [name for name in exported - interface() if not name.startswith("clif_")]
    if strangers and tag.startswith("manylinux"):
        raise WheelError(f"{wheel.name}: {platform.library} exports {', '.join(sorted(strangers))}")
    if foreign := [name for name in needed if not re.fullmatch(platform.needs, name)]:
        raise WheelError(f"{wheel.name}: {platform.library} needs {', '.join(foreign)}, which users may lack")
    if oldest and oldest[:2] > tuple(map(int, tag.split("_")[1:3])):
        raise WheelError(f"{wheel.name}: {platform.library} needs macOS {oldest[0]}.{oldest[1]}")
    also = f" and {len(strangers)} of the C++ library" if strangers else ""
    return f"{kind}; {len(interface())} functions of the C interface{also}; needs {', '.join(needed)}"


def _processor(binary) -> str:
    header = binary.header
    for name in ("machine_type", "cpu_type", "machine"):
        if hasattr(header, name):
            return str(getattr(header, name)).rsplit(".", 1)[-1]
    return "?"


def audit(wheel: Path) -> str:
    """The oldest tag that auditwheel accepts for a Linux wheel. Raises `WheelError` if the wheel's own tag is older."""
    said = " ".join(run([sys.executable, "-m", "auditwheel", "show", wheel]).split())
    found = re.search(r'following platform tag: "(manylinux_(\d+)_(\d+)_\w+)"', said)
    own = re.search(r"manylinux_(\d+)_(\d+)_", wheel.name)
    if not found or not own or (int(found[2]), int(found[3])) > (int(own[1]), int(own[2])):
        raise WheelError(f"auditwheel does not grant the tag of {wheel.name}: {said}")
    return found[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder for the files (dist)")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="only this one; may be repeated")
    parser.add_argument("--sdist", type=Path, help="build from this sdist in place of a new one")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        sdist = options.sdist or build_sdist(options.out)
        print(sdist, flush=True)
        for tag in options.platform or PLATFORMS:
            wheel = build_wheel(sdist, tag, options.out)
            granted = f"; auditwheel: {audit(wheel)}" if tag.startswith("manylinux") else ""
            print(f"{wheel}\n  {inspect(wheel)}{granted}\n  {PLATFORMS[tag].tested}", flush=True)
    except WheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
