"""The compiled part of the build; everything else is in pyproject.toml.

`clif._kernels` is a plain C library that `clif.ops.cpu` loads with ctypes, not a Python module, and needs no headers
of torch. It is optional: without a C++17 compiler the install succeeds and clif computes its neurons in PyTorch.
"""

from glob import glob

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "clif._kernels",
            sources=[
                f"src/clif/csrc/{name}.cpp"
                for name in ("kernels", "units", "baseline", "avx2", "avx512", "avx512_bf16")
            ],
            depends=sorted(glob("src/clif/csrc/*.hpp")),
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
                "-fno-tree-pre",  # without these two the unrolled loops may or may not run a tenth slower, by chance
                "-falign-functions=64",
            ],
            extra_link_args=["-pthread", "-ldl"],
        )
    ],
)
