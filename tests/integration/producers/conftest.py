"""What the tests of several brokers run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka_cluster import KafkaCluster, kafka_cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Three brokers."""
    with kafka_cluster(tmp_path / "cluster") as found:
        yield found
