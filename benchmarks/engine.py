"""`make bench-engine`: the engine beside idiomatic Faust, Quix Streams and bare aiokafka.

Runs are interleaved, each in a process of its own, on one broker and one topic; medians and the
spread are printed and kept in `benchmarks/results/engine.json`. Figures of a shared machine drift:
compare within one run.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import uuid
from importlib.metadata import version
from typing import Any

from benchmarks.broker import broker, create_topics, fill
from benchmarks.record import keep, summary

SYSTEMS = ("engine", "faust", "quixstreams", "aiokafka", "engine-stateless")
RESULT = re.compile(r"RESULT (\{.*?\})")


def one_run(system: str, bootstrap: str, topic: str, records: int, partitions: int) -> dict[str, float]:
    """One measured run. Raises `RuntimeError` with the process's words when it gives no result."""
    group = f"bench-{system}-{uuid.uuid4().hex[:6]}"
    asyncio.run(create_topics(bootstrap, [f"{group}-changelog", f"{group}-dead"], partitions))
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.systems", system, bootstrap, topic, str(records), str(partitions), group],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    found = RESULT.search(ran.stdout + ran.stderr)
    if found is None:
        raise RuntimeError(f"{system} gave no result:\n{(ran.stdout + ran.stderr)[-2000:]}")
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def main() -> None:
    """Run all systems and print one table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--records", type=int, default=500_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--partitions", type=int, default=4)
    given = arguments.parse_args()
    runs: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
    with broker() as bootstrap:
        topic = f"bench-{uuid.uuid4().hex[:8]}"
        print(f"filling {topic}: {given.records:,} records, {given.partitions} partitions", flush=True)
        asyncio.run(create_topics(bootstrap, [topic], given.partitions))
        asyncio.run(fill(bootstrap, topic, given.records, given.partitions))
        for number in range(given.rounds):
            for system in SYSTEMS:
                run = one_run(system, bootstrap, topic, given.records, given.partitions)
                runs[system].append(run)
                rate = run["records"] / run["wall_s"]
                print(f"round {number + 1}/{given.rounds}  {system:<17} {rate:>10,.0f} records/s", flush=True)
    systems = {system: summary(found) for system, found in runs.items()}
    write(systems)
    show(systems)


def write(systems: dict[str, Any]) -> None:
    """Keep the figures with the machine's description and the versions."""
    packages = ("faust-streaming", "aiokafka", "quixstreams", "msgspec", "uvloop")
    keep("engine", {"systems": systems, "versions": {name: version(name) for name in packages}})


def show(systems: dict[str, Any]) -> None:
    """One table, with ratios to the engine."""
    engine = systems["engine"]["records_per_s"]["median"]
    print(f"\n{'system':<17} {'median/s':>10} {'min/s':>10} {'max/s':>10} {'CPU s':>7} {'MB':>7} {'engine is':>10}")
    for system, found in systems.items():
        rate = found["records_per_s"]
        print(
            f"{system:<17} {rate['median']:>10,} {rate['min']:>10,} {rate['max']:>10,} {found['cpu_s']:>7.2f} "
            f"{found['peak_memory_mb']:>7.0f} {engine / rate['median']:>9.2f}x"
        )
    ceiling = systems["engine-stateless"]["records_per_s"]["median"] / systems["aiokafka"]["records_per_s"]["median"]
    print(f"\nstateless work: the engine reaches {ceiling:.2f} of bare aiokafka and msgspec")


if __name__ == "__main__":
    main()
