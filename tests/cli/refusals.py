"""Commands that are refused."""

from clif.cli import main


def fails(capsys, *words) -> str:
    """The one line on stderr of a command that is refused with exit code 2."""
    assert main(list(map(str, words))) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("clif: error: ")
    return error
