"""The contract for any bytes: a valid result or one error of the package, in bounded time and memory."""

import os
import re
import sys
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from clif.errors import InputError
from fuzz.targets import Target

MOST_SECONDS = 5.0
MOST_BYTES = 512 << 20
"""The limits of processor time and memory for one file of a fuzzer, which has at most 64 KiB."""

EXECUTES = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "ctypes.dlopen")
WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")


class Broken(Exception):
    """The contract is broken by a rule that no exception of the reader shows."""


class Watch:
    """An audit hook (`sys.addaudithook`) that, while a file is read, refuses events that no reader may cause."""

    def __init__(self) -> None:
        self.folder = ""
        self.found: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder:
            return
        if event == "subprocess.Popen" and str(arguments[1][-1]).endswith("reader_process.py"):
            return
        if event in EXECUTES:
            self.found.append(f"{event} {arguments[:1]}")
        elif event in WRITES or (event == "open" and _writes(arguments)):
            for path in arguments[:2] if event in ("os.rename", "os.link") else arguments[:1]:
                beside = event in ("os.remove", "os.rmdir") and arguments[1] != -1  # in an open folder, as by rmtree
                if isinstance(path, str | bytes) and not beside and not self._is_inside(os.fsdecode(path)):
                    self.found.append(f"{event} {os.fsdecode(path)}")

    def _is_inside(self, path: str) -> bool:
        return path == os.devnull or os.path.realpath(path).startswith(self.folder)


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


_watch: list[Watch] = []


def warm_up(target: Target, content: bytes, folder: Path) -> None:
    """Read a file without watching, so that modules that are imported at first use are loaded."""
    target.write(content, folder / target.file)
    with suppress(InputError):
        target.read(folder / target.file)


def check(target: Target, content: bytes, folder: Path) -> str:
    """Read a file with this content: returns "" for a valid one, else the error. Raises if the contract is broken."""
    if not _watch:
        _watch.append(Watch())
    watch = _watch[0]
    path = folder / target.file
    target.write(content, path)
    before, started = _reset_peak(), time.process_time()
    watch.found, watch.folder = [], f"{folder.resolve()}{os.sep}"
    said = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.read(path)
    except InputError as error:
        said = str(error) or "nothing"
    finally:
        watch.folder = ""
    seconds, grown = time.process_time() - started, _peak() - before
    if watch.found:
        raise Broken(f"did what no file may do: {watch.found[0]}")
    if seconds > MOST_SECONDS:
        raise Broken(f"took {seconds:.1f} s")
    if grown > target.most_bytes:
        raise Broken(f"took {grown >> 20} MiB")
    if said and target.named and str(path) not in said and str(path.resolve()) not in said:
        raise Broken(f"an error that does not name the file: {said[:200]}")
    if len(said) > 4000:
        raise Broken(f"an error of {len(said)} letters: {said[:200]}")
    return said


def place_of(error: BaseException) -> str:
    """A name for a finding: the kind of the error and the place where it was raised, or the broken rule."""
    if isinstance(error, Broken):
        return re.sub(r"[^a-z]+", "-", str(error).partition(":")[0].lower()).strip("-")
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}clif{os.sep}" in frame.filename] or frames
    return f"{type(error).__name__}-{Path(ours[-1].filename).stem}-{ours[-1].lineno}"


def _reset_peak() -> int:
    """Reset the peak of the process's memory (Linux), and return the new peak."""
    with suppress(OSError):  # without a reset, only memory beyond the old peak is noticed
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{name}:\s+(\d+)", text)
    return int(found[1]) << 10 if found else 0
