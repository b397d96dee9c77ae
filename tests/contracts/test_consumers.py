"""Consumers are opened and closed in one place, which lets no cancellation of aiokafka's own out."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Every client of Kafka is made there.
ALLOWED = {"app/kafka/clients.py"}


def test_consumers_are_opened_by_one_module_alone() -> None:
    """`AIOKafkaConsumer.stop` can raise the `CancelledError` of a task of its own, which ends whoever awaits it."""
    opening = re.compile(r"= AIOKafkaConsumer\(")
    found = {
        str(path.relative_to(ROOT))
        for room in ("app", "producers", "agents", "tables")
        for path in (ROOT / room).rglob("*.py")
        if opening.search(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED
    assert "consumer.stop()" not in (ROOT / "app/kafka/progress.py").read_text(encoding="utf-8")
