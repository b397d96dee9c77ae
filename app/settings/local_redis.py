"""Where the Redis that `up` starts is, with its password."""

from pathlib import Path

#: The file in the directory of the Redis that `up` starts, which holds its password.
LOCAL_REDIS_PASSWORD_FILE = "password"


def local_redis_password(redis_dir: Path) -> str | None:
    """The password of the Redis that `up` starts; None where none was started in the directory, or it is another's."""
    try:
        return (redis_dir / LOCAL_REDIS_PASSWORD_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def local_redis_url(redis_dir: Path, port: int) -> str:
    """The URL of the Redis that `up` starts, its password in it."""
    password = local_redis_password(redis_dir)
    return f"redis://{'' if password is None else f':{password}@'}127.0.0.1:{port}/0"
