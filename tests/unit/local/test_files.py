"""What is written on this machine is its user's alone, and nothing is written through a link."""

import os
import stat
from pathlib import Path

import pytest

from app.errors import StartupError
from app.local.files import private_directory, write_whole


def test_a_file_replaces_a_link_and_leaves_what_it_pointed_to(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "file"
    target.write_text("mine")
    path.symlink_to(target)
    write_whole(path, b"new")
    assert target.read_text() == "mine"
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "target"]


def test_a_directory_that_others_could_read_becomes_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir(mode=0o755)
    path.chmod(0o777)
    private_directory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_directory_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StartupError, match="belongs to another user"):
        private_directory(tmp_path)
