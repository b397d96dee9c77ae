"""`python -m app.local.fetch`: everything that `up` would download or make the first time, beforehand."""

import compileall
import sys
from pathlib import Path

from app.errors import StartupError
from app.local import java
from app.local.archive import make_archive

#: Our own packages. Without compiled modules each process of a platform compiles them for itself at its start.
_PACKAGES = ("app", "agents", "tables", "producers")


def main() -> int:
    """Resolve Kafka's jars and prepare its start; 1 when the jars cannot be had."""
    try:
        found = java.jars()
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"Kafka: {len(found)} jars ready\n")
    sys.stdout.flush()
    root = Path(__file__).parents[2]
    for package in _PACKAGES:
        # What cannot be written, as in an installation of root's, stays as it is.
        compileall.compile_dir(root / package, quiet=2)
    try:
        if make_archive():
            sys.stdout.write("Kafka: its classes are archived, it starts twice as fast\n")
    except (StartupError, OSError) as error:
        sys.stdout.write(f"Kafka starts, if more slowly, without an archive of its classes: {error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
