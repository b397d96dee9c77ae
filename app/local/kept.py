"""What is made once on a machine and used by every start, in the user's cache directory."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def kept_dir(name: str, *versions: str) -> Path:
    """The directory for what these versions of something bring; it is made on the first call.

    It is under `XDG_CACHE_HOME`, else under `~/.cache`, and its user's alone. Raises `OSError`: it cannot be made.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256("\0".join(versions).encode()).hexdigest()[:12]
    directory = home / "tapereader" / f"{name}-{digest}"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes that want to make the same file waiting while the context lasts."""
    with path.with_name(f".{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
