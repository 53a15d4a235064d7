"""The library in the wheel for Linux on 64-bit ARM, run under emulation and compared with the reference.

$CLIF_TEST_WHEELS names the folder with the wheel (`make wheels` writes dist/); building it here would take minutes.
"""

import os
import subprocess
import zipfile
from pathlib import Path

import checks
import golden
import pytest
import torch
from aarch64 import DRIVER, Emulated, cross_compiler, missing

from clif.generate import compiler
from clif.instruction_sets import ARM
from clif.ops import cpu

SYSROOT = Path("/usr/aarch64-linux-gnu")
WHEELS = os.environ.get("CLIF_TEST_WHEELS")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(cpu.unavailable() is not None, reason=cpu.DESCRIPTION),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.skipif(not (SYSROOT / "lib/libc.so.6").is_file(), reason="apt-get install libc6-arm64-cross"),
    pytest.mark.skipif(WHEELS is None, reason="CLIF_TEST_WHEELS names no folder of wheels"),
]

NO_UNITS = (
    '#include "unit.hpp"\nbool own_unit(std::uint64_t, std::int64_t, std::int64_t, clif::Unit*) { return false; }\n'
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A processor whose program calls the wheel's library."""
    folder = tmp_path_factory.mktemp("wheel")
    (wheel,) = Path(str(WHEELS)).glob("*manylinux_*_aarch64.whl")
    library = zipfile.ZipFile(wheel).extract("clif/_kernels.so", folder)
    table = folder / "no_units.cpp"
    table.write_text(NO_UNITS)
    command = ["-gnu.2.28".join(word.rsplit("-musl", 1)) for word in cross_compiler() or ()]
    flags = [f"-I{compiler.HEADERS}", "-std=c++17", "-O1", f"-Wl,-rpath,{folder / 'clif'}"]
    program = folder / "driver"
    subprocess.run([*command, *flags, DRIVER, table, library, "-o", program], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QEMU_LD_PREFIX", str(SYSROOT))
        emulated = Emulated(program)
    yield emulated
    emulated.close()


@pytest.mark.parametrize("name", ARM)
@pytest.mark.parametrize("case", golden.CASES[:12], ids=lambda c: f"{c['index']}-{c['neuron']}-{c['surrogate']}")
def test_original_numbers(case, name, machine):
    before = machine.calls
    with machine.in_place(name):
        checks.assert_original_numbers(case, torch.float64, 1e-10)
        checks.assert_original_numbers(case, torch.float32, 1e-5)
    assert machine.calls > before
