"""A run that imported the user's code continues only with that code, and reports changes of it."""

import json
from pathlib import Path

import pytest
from own_code import NETWORK, TRAIN_MY_NET

from clif.cli import main
from clif.errors import InputError
from clif.train.checkpoint import read_checkpoint
from clif.train.config import resolve
from clif.train.loop import fit
from clif.train.resume import read_run
from clif.user_code import import_code


def trains(*words):
    assert main(["train", *words, *TRAIN_MY_NET.split()]) == 0


def resume(folder, *words):
    return main(["train", "--resume-run", str(folder), "--quiet", "--max-steps", "2", *words])


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "clif.train"]


def test_without_the_code_it_ends_in_one_line(own_code_run, capsys):
    assert resume(own_code_run) == 2
    line = f"clif: error: {own_code_run} was made with your own code: add --import my_net.py\n"
    assert capsys.readouterr().err == line
    assert resume(own_code_run, "--print-config") == 2


def test_from_another_folder_the_whole_path_is_named(own_code_run, own_code, monkeypatch, capsys):
    folder = own_code_run.resolve()
    monkeypatch.chdir("/")
    assert resume(folder) == 2
    assert f"add --import {own_code.folder / 'my_net.py'}\n" in capsys.readouterr().err


def test_with_the_code_it_resumes_and_records_it_again(own_code_run, own_code, caplog):
    assert resume(own_code_run, "--import", "my_net.py") == 0
    assert warnings(caplog) == []
    first, second = json.loads((own_code_run / "environment.json").read_text())
    assert first["imports"] == second["imports"] == read_checkpoint(own_code_run)["imports"]
    own_code.new_process()
    trains("--import", "my_net.py", "--resume", "auto", "--max-steps", "3")
    assert read_checkpoint(own_code_run / "checkpoint_last.pth")["progress"]["global_step"] == 3


@pytest.mark.parametrize("how", ["run", "checkpoint"])
def test_changed_code_is_said(own_code_run, own_code, how, caplog):
    own_code.write("my_net.py", NETWORK + "# changed")
    if how == "run":
        assert resume(own_code_run, "--import", "my_net.py") == 0
    else:
        trains("--import", "my_net.py", "--resume", str(own_code_run / "checkpoint_last.pth"), "--max-steps", "2")
    (line,) = warnings(caplog)
    assert "checkpoint_last.pth: --import my_net.py: the file has changed since (SHA-256 " in line


@pytest.mark.parametrize(("name", "given"), [("other.py", "other.py"), ("parts/my_net.py", "parts.my_net")])
def test_a_file_that_got_another_name_is_the_same_code(own_code_run, own_code, caplog, name, given):
    own_code.write(name, NETWORK)
    Path("my_net.py").unlink()
    assert resume(own_code_run, "--import", given) == 0
    assert not warnings(caplog)


def test_code_without_names_is_missed_too(own_code, caplog, capsys):
    own_code.write("seen.py", "")
    line = "--dataset digits -T 1 --amp False --quiet --model snn5_noAP --max-steps"
    assert main(["train", "--import", "seen.py", *line.split(), "1"]) == 0
    own_code.new_process()
    folder = next(path for path in Path("logs").iterdir())
    assert resume(folder) == 2
    assert "add --import seen.py" in capsys.readouterr().err
    assert main(["train", *line.split(), "2", "--resume", "auto"]) == 0
    assert any("not loaded here: --import seen.py" in line for line in warnings(caplog))


@pytest.mark.usefixtures("own_code")
def test_a_run_without_imports_or_of_before_them_resumes(capsys):
    line = "--dataset digits -T 1 --amp False --quiet --model snn5_noAP --max-steps 1"
    assert main(["train", *line.split()]) == 0
    folder = next(path for path in Path("logs").iterdir())
    (start,) = json.loads((folder / "environment.json").read_text())
    assert start.pop("imports") == []
    for text in (json.dumps([start]), "[]", "[3]", "{}", "no JSON", '[{"imports": 3}]'):
        (folder / "environment.json").write_text(text)
        assert resume(folder, "--print-config") == 0
    (folder / "environment.json").unlink()
    assert resume(folder) == 0
    capsys.readouterr()


def test_in_python_the_code_must_be_there_and_fit_imports_nothing(own_code_run):
    with pytest.raises(InputError, match=r"add --import my_net\.py .*: unknown model 'my_net'"):
        read_run(str(own_code_run), {})
    import_code(["my_net.py"])
    result = fit(read_run(str(own_code_run), {"max_steps": 2}), quiet=True, folder=own_code_run)
    assert result.folder == own_code_run


def test_every_seed_records_the_imports(own_code, capsys):
    own_code.write("my_net.py", NETWORK)
    trains("--import", "my_net.py", "--max-steps", "1", "--seeds", "0,1")
    folders = [path for path in Path("logs").iterdir() if path.is_dir()]
    assert len(folders) == 2
    for folder in folders:
        (start,) = json.loads((folder / "environment.json").read_text())
        assert [one["module"] for one in start["imports"]] == ["my_net"]
    capsys.readouterr()


def test_options_of_the_configuration_do_not_import(own_code):
    own_code.write("harm.py", "open('harm', 'w')")
    with pytest.raises(InputError, match="unknown configuration key 'imports'"):
        resolve("digits", imports=["harm.py"])
    assert not Path("harm").exists()
