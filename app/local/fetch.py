"""`python -m app.local.fetch`: everything that `up` would download, beforehand."""

import sys

from app.errors import StartupError
from app.local.kafka import jars


def main() -> int:
    """Resolve Kafka's jars; 1 when they cannot be had."""
    try:
        found = jars()
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"Kafka: {len(found)} jars ready\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
