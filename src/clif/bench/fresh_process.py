"""A measurement in a separate process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from clif.errors import InputError


def in_fresh_process(
    function: str, *arguments: str, without: Iterable[str] = (), environment: Mapping[str, str] | None = None
) -> Any:
    """The last line, which must be JSON, that `module:function` prints for these strings in a new interpreter.

    The environment is this process's except for the variables `without`, and with those of `environment`. Raises
    `InputError` if the process fails.
    """
    module, name = function.split(":")
    script = f"import sys; from {module} import {name}; {name}(*sys.argv[1:])"
    usual = {name: value for name, value in os.environ.items() if name not in without}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={**usual, **(environment or {})},
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"the process that measures {name} failed (exit code {done.returncode}): {last}")
    return json.loads(done.stdout.splitlines()[-1])
