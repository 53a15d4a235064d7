"""The compiled part of the build; everything else is in pyproject.toml.

`clif._kernels` is a plain C library that `clif.ops.cpu` loads with ctypes, not a Python module, and needs no headers
of torch. It is optional: without a C++17 compiler the install succeeds and clif computes its neurons in PyTorch.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

UNROLLED = [
    "-fno-tree-pre",  # without these two the unrolled loops may or may not run a tenth slower, by chance
    "-falign-functions=64",
]


class ParallelBuild(build_ext):
    """Compiles the sources of an extension side by side."""

    def build_extensions(self):
        if not any(
            "zig" in word for word in getattr(self.compiler, "compiler_so", ())
        ):  # which refuses options that it does not know
            self.extensions[0].extra_compile_args += UNROLLED
        one_by_one = self.compiler.compile

        def side_by_side(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: one_by_one([source], **options), sources)
                return [path for paths in objects for path in paths]

        self.compiler.compile = side_by_side
        super().build_extensions()


setup(
    cmdclass={"build_ext": ParallelBuild},
    ext_modules=[
        Extension(
            "clif._kernels",
            sources=sorted(glob("src/clif/csrc/**/*.cpp", recursive=True)),
            depends=sorted(glob("src/clif/csrc/**/*.hpp", recursive=True)),
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
            extra_link_args=["-pthread", "-ldl"],
        )
    ],
)
