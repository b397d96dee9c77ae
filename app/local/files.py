"""Files and directories that are their user's alone; none is written through a link that someone else laid."""

import os
import stat
import tempfile
from pathlib import Path

from app.errors import StartupError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file (0600); a link in its place is replaced. Readers see the old content or the new one."""
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with open(number, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def open_to_append(path: Path) -> int:
    """A descriptor of a file (0600) that is appended to. Raises `StartupError` where a link is in its place."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if path.is_symlink():
            raise StartupError(f"{path} is a link and would be written through; remove it") from error
        raise


def private_directory(path: Path) -> None:
    """Make a directory (0700), or take the rights of others from one that is there.

    Raises `StartupError`: it belongs to someone else, who could change what is in it.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise StartupError(f"{path} belongs to another user (id {found.st_uid}); choose a directory of your own")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
