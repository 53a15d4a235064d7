"""`python -m fuzz NAME… --seconds N` fuzzes one target after the other; see CONTRIBUTING.md."""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz.contract import check, place_of, warm_up
from fuzz.targets import TARGETS

FINDINGS = Path("build") / "fuzz"
LARGEST = 1 << 16
WORDS = ("null", "[]", "{}", "-1", "1e999", "NaN", '""', "true", "[[[[", "..", "/", "\\\\x00", "9999999999999999999")
"""Words that a fuzzer tries besides bytes, in every target."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="targets; without any they are listed")
    parser.add_argument("--seconds", type=int, default=600, help="how long each is fuzzed (600)")
    parser.add_argument("--out", type=Path, default=FINDINGS, help="where findings and corpora go (build/fuzz)")
    parser.add_argument("--read", type=Path, help="only read this file of a fuzzer's bytes, and say what comes of it")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.names:
        print("\n".join(TARGETS))
        return 0
    if unknown := set(arguments.names) - set(TARGETS):
        parser.error(f"unknown target {unknown.pop()}; known: {', '.join(TARGETS)}")
    if arguments.read:
        with tempfile.TemporaryDirectory() as folder:
            target, content, place = TARGETS[arguments.names[0]], arguments.read.read_bytes(), _place(Path(folder))
            warm_up(target, target.seeds()[0], place)
            print(check(target, content, place) or "read")
        return 0
    if arguments.child:
        _fuzz(arguments.names[0], arguments.seconds, arguments.out)
    return max(_run(name, arguments.seconds, arguments.out) for name in arguments.names)


def _run(name: str, seconds: int, out: Path) -> int:
    """Fuzz a target in separate processes, a new one for each that ends; returns 1 for a finding or a failed start."""
    end, executions = time.monotonic() + seconds, 0
    while (left := int(end - time.monotonic())) > 1:
        command = [sys.executable, "-m", "fuzz", name, "--child", "--seconds", str(left), "--out", str(out)]
        done = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, errors="replace")
        counts = re.findall(r"^#(\d+)", done.stderr, re.MULTILINE)
        executions += int(counts[-1]) if counts else 0
        if done.returncode == 0:
            break
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / "crash.log").write_text(done.stderr[-20_000:])
        if not counts:
            print(done.stderr[-2000:])
            break
    found = sorted(path.name for path in (out / name).glob("finding-*")) if (out / name).is_dir() else []
    found += sorted(path.name for path in (out / name).glob("[cto]*-*") if path.is_file())
    print(f"{name}: {executions} files in {seconds} s, {len(found)} findings {' '.join(found)}", flush=True)
    return int(bool(found) or not executions)


def _place(folder: Path) -> Path:
    """The path of the file: two folders deep, so that writes outside of its own folder are noticed."""
    place = folder / "deep" / "here"
    place.mkdir(parents=True)
    return place


def _fuzz(name: str, seconds: int, out: Path) -> None:
    """Fuzz in this process. It stores a broken contract as finding-KIND and continues; a crash ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs atheris: pip install atheris (Linux)")

    target = TARGETS[name]
    place, corpus = out / name, out / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["clif"]), tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
            warm_up(target, seed, _place(Path(folder) / str(number)))
    words = place / "words"
    words.write_text("".join(f'"{word.encode().decode()}"\n' for word in map(_quoted, WORDS)))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        here = _place(Path(folder))

        def one(content: bytes) -> None:
            try:
                check(target, content, here)
            except Exception as error:
                kept = place / f"finding-{place_of(error)}"
                if not kept.exists() or kept.stat().st_size > len(content):
                    kept.write_bytes(content)

        options = [f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-dict={words}", f"-artifact_prefix={place}/"]
        options += ["-timeout=30", "-rss_limit_mb=4096", "-detect_leaks=0", "-len_control=0", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()


def _quoted(word: str) -> str:
    return word.replace('"', '\\"')


if __name__ == "__main__":
    sys.exit(main())
