"""A separate program that reads recordings by faery, because faery may end its process at a damaged file.

`python -P faery_process.py`: for each line of stdin, a JSON list of a file, its kind and options, it answers with a
line of JSON, {"error": …} or {"size": [width, height], "events": n}, and then t uint64 [n], x and y uint16 [n] and
p uint8 [n], little-endian. It ends if it is not asked for a while. It imports nothing of clif.
"""

import json
import os
import sys
import threading

import faery

if sys.platform != "win32":
    import resource

IDLE_SECONDS = 20
SOME_MEMORY, MEMORY_TIMES = 4 << 30, 64
"""The memory in bytes that any file may take, and the additional memory per byte of the file."""
COLUMNS = {"t": "<u8", "x": "<u2", "y": "<u2", "on": "|u1"}


def main() -> None:
    while line := next_line():
        path, kind, options = json.loads(line)
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        try:
            limit_memory(os.path.getsize(path))
            stream = faery.events_stream_from_file(path, file_type=kind, **options)
            events = stream.to_array()
            answer = {"size": list(stream.dimensions()), "events": len(events)}
            content = [events[name].astype(dtype).tobytes() for name, dtype in COLUMNS.items()]
        except KeyboardInterrupt:
            return
        except BaseException as error:  # a panic of Rust is not an Exception
            answer, content = {"error": str(error).strip() or type(error).__name__}, []
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + b"".join(content))
        sys.stdout.buffer.flush()


def limit_memory(size: int) -> None:
    """Limit this process's memory for a file of that size; more memory ends the process (not on Windows)."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = SOME_MEMORY + MEMORY_TIMES * size
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def next_line() -> str:
    """The next line of stdin, "" at its end."""
    timer = threading.Timer(IDLE_SECONDS, os._exit, (0,))
    timer.daemon = True
    timer.start()
    line = sys.stdin.readline()
    timer.cancel()
    return line


if __name__ == "__main__":
    main()
