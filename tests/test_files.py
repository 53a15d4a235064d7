"""Files that are written completely or not at all."""

import pytest

from clif.files import write_atomically, write_content


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half of the new")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_keyboard_interrupt_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(_file):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, interrupt)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["checkpoint_last.pth", "checkpoint_best.pth"])
def test_a_temporary_file_is_named_neither_last_nor_best_and_lies_beside_the_target(tmp_path, name):
    seen = []
    write_atomically(tmp_path / name, lambda _file: seen.extend(p.name for p in tmp_path.iterdir()))
    assert len(seen) == 1
    assert not any(word in seen[0] for word in ("last", "best"))
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_is_refused_and_kept(tmp_path, linked):
    folder = tmp_path / "folder"
    folder.mkdir()
    target = tmp_path / "link" if linked else folder
    if linked:
        target.symlink_to(folder)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError) as raised:
        write_content(target, "text")
    assert raised.value.filename == str(target)
    assert raised.value.filename2 is None
    assert sorted(tmp_path.iterdir()) == before
    assert target.is_symlink() == linked


def test_a_file_in_place_of_the_parent_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as raised:
        write_content(tmp_path / "file" / "new", "text")
    assert raised.value.filename == str(tmp_path / "file")


@pytest.mark.parametrize("content", ["µ\n", "µ\n".encode()])
def test_content_is_text_or_bytes(tmp_path, content):
    write_content(tmp_path / "a" / "b", content)
    assert (tmp_path / "a" / "b").read_bytes() == "µ\n".encode()
