"""Units in Triton: the kernels of one program as a module, in a file because Triton reads source files.

The name of a file is the SHA-256 of its text, and only a text with that hash runs.
"""

import hashlib
import linecache
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from clif.generate import cache as store
from clif.generate.program import parse
from clif.generate.triton_source import source


class TritonUnit(NamedTuple):
    """The module of a program, a function from its constants to the kernels' numbers, the counts of its `Source`."""

    module: ModuleType
    values: Callable[[tuple[float, ...]], dict[str, float]]
    planes: int
    live: int


@cache
def load(text: str) -> TritonUnit:
    """The unit of a program, given by its canonical text."""
    made = source(parse(text))
    content = made.text.encode()
    key = hashlib.sha256(content).hexdigest()

    def write(path: Path) -> None:
        path.write_bytes(content)

    path = store.get(key, write, store.TRITON_SUFFIX)
    return TritonUnit(_import(path, key), cache(made.uniforms.values), made.planes, made.live)


def _import(path: Path, key: str) -> ModuleType:
    """The module of a file whose SHA-256 is `key`. Raises `ImportError` if it differs."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != key:
        raise ImportError(f"{path} was changed; clif cache --clear deletes it")
    code = content.decode()
    module = ModuleType(f"clif_triton_{key[:16]}")
    module.__file__ = str(path)
    linecache.cache[str(path)] = (len(code), None, code.splitlines(True), str(path))  # what Triton reads, too
    exec(compile(code, str(path), "exec"), module.__dict__)
    return module
