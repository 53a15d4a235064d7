"""The compiled part of the build; everything else is in pyproject.toml.

`clif/_kernels.so` is a plain C library that `clif.ops.isa` loads with ctypes, not a Python module: it needs no headers
of Python or torch, and one wheel a platform, `py3-none-PLATFORM`, serves every version of both. It is optional:
without a C++17 compiler the install succeeds and clif computes its neurons in PyTorch.

`bdist_wheel --plat-name` names another platform than this one, for which the compiler in CC and CXX compiles
(`tools/wheels.py`).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

UNROLLED = [
    "-fno-tree-pre",  # without these two, unrolled loops may run a tenth slower, depending on chance
    "-falign-functions=64",
]
EXPORTS = "src/clif/csrc/exports.map"


class ParallelBuild(build_ext):
    """Compiles the sources of an extension side by side, for the platform of the wheel."""

    def build_extensions(self):
        (extension,) = self.extensions
        zig = any("zig" in word for word in getattr(self.compiler, "compiler_so", ()))
        if zig:
            extension.extra_link_args.append("-O2")  # for the C++ library, which zig builds and links
        else:
            extension.extra_compile_args += UNROLLED  # zig refuses options that it does not know
        if self._platform().startswith("macosx"):
            extension.extra_link_args.append("-Wl,-install_name,@rpath/_kernels.dylib")
        if self._platform().startswith(("linux", "manylinux")):
            extension.extra_link_args += ["-pthread", "-ldl", f"-Wl,--version-script={EXPORTS}"]
        one_by_one = self.compiler.compile

        def side_by_side(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: one_by_one([source], **options), sources)
                return [path for paths in objects for path in paths]

        self.compiler.compile = side_by_side
        super().build_extensions()
        for ending in ("pdb", "lib"):  # debug information and an import library, for Windows
            for left in glob(os.path.join(self.build_lib, "clif", f"*.{ending}")):
                os.remove(left)

    def get_ext_filename(self, fullname):
        """The library's name without the version of Python; `clif.ops.isa.FILE` is where it is looked for."""
        platform = self._platform()
        suffix = ".dll" if platform.startswith("win") else ".dylib" if platform.startswith("macosx") else ".so"
        return os.path.join(*fullname.split(".")) + suffix

    def _platform(self):
        return self.get_finalized_command("bdist_wheel").plat_name.replace("-", "_")


class PlatformWheel(bdist_wheel):
    """A wheel for a platform and every Python 3."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(
    cmdclass={"build_ext": ParallelBuild, "bdist_wheel": PlatformWheel},
    ext_modules=[
        Extension(
            "clif._kernels",
            sources=sorted(glob("src/clif/csrc/**/*.cpp", recursive=True)),
            depends=[*sorted(glob("src/clif/csrc/**/*.hpp", recursive=True)), EXPORTS],
            language="c++",
            optional=True,
            extra_compile_args=[
                "-std=c++17",
                "-O3",
                "-g0",
                "-fopenmp-simd",
                "-fvisibility=hidden",
                "-ffp-contract=off",  # a fused multiply-add would let spikes differ between instruction sets
                "-fno-math-errno",  # these two keep the meaning of NaN and infinity and let loops be vectorised
                "-fno-trapping-math",
            ],
        )
    ],
)
