"""Triton kernels compiled for a GPU on a machine without one, with the arguments of their launches."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import torch

POINTERS = {torch.float32: "*fp32", torch.bfloat16: "*bf16", torch.float16: "*fp16"}
HOPPER = ("cuda", 90, 32)


class Recorder:
    """Replaces a kernel: keeps the arguments of its launch."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.arguments = None

    def __getitem__(self, grid):
        return lambda **arguments: setattr(self, "arguments", arguments)


def compiled(launch: Recorder):
    """The kernel of a launch as Triton compiles it for these arguments on an H100."""
    from triton import compile
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    arguments = dict(launch.arguments)
    options = {"enable_fp_fusion": arguments.pop("enable_fp_fusion")}
    assert set(arguments) == set(launch.kernel.arg_names)
    constant = {param.name for param in launch.kernel.params if param.is_constexpr}
    signature, aligned = {}, {}
    for position, name in enumerate(launch.kernel.arg_names):
        value = arguments[name]
        if name in constant or value is None or (isinstance(value, int) and value == 1):
            signature[name] = "constexpr"
        elif isinstance(value, torch.Tensor):
            signature[name] = POINTERS[value.dtype]
            aligned[(position,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32" if isinstance(value, int) else "fp32"
            if isinstance(value, int) and value % 16 == 0:
                aligned[(position,)] = [["tt.divisibility", 16]]
    constants = {name: arguments[name] for name, kind in signature.items() if kind == "constexpr"}
    return compile(ASTSource(launch.kernel, signature, constants, aligned), target=GPUTarget(*HOPPER), options=options)


class Code(NamedTuple):
    """A compiled kernel in numbers: in machine code its registers, stack bytes per thread, instructions and memory
    instructions; and the last two of the PTX, which the assembler has not yet unrolled and scheduled."""

    registers: int
    stack: int
    instructions: int
    memory: int
    ptx_instructions: int
    ptx_memory: int


def measured(kernel, folder: Path) -> Code:
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(kernel.asm["cubin"])
    usage = _tool("cuobjdump", "-res-usage", cubin)
    words = dict(word.split(":") for word in usage.split() if word.startswith(("REG:", "STACK:", "LOCAL:")))
    machine = re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+ )?([A-Z][\w.]*)", _tool("nvdisasm", "-c", cubin))
    machine = [name.split(".")[0] for name in machine if name not in ("NOP", "BRA")]
    ptx = re.findall(r"^\s+(?:@!?%p\d+ )?([a-z]+(?:\.\w+)?)[.\s]", kernel.asm["ptx"], re.MULTILINE)
    return Code(
        int(words["REG"]),
        int(words["STACK"]) + int(words["LOCAL"]),
        len(machine),
        sum(name in ("LDG", "STG", "LDL", "STL", "LDS", "STS") for name in machine),
        len(ptx),
        sum(name in ("ld.global", "st.global") for name in ptx),
    )


def _tool(name: str, *arguments) -> str:
    import triton as package

    program = Path(package.__file__).parent / "backends" / "nvidia" / "bin" / name
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def stack_bytes(kernel, folder: Path) -> int:
    """The memory of each thread of a compiled kernel outside its registers."""
    return measured(kernel, folder).stack
