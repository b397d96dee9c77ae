"""What the tests of tables, backups and repairs run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agents.workers import own_broker
from tests.integration.local.platform_run import Platform, platform_run


@pytest.fixture
def platform(tmp_path: Path, redis_url: str) -> Iterator[Platform]:
    """A broker of the test's own and no process yet."""
    with (
        own_broker(tmp_path / "kafka") as bootstrap,
        platform_run(bootstrap, redis_url, tmp_path, source="none") as found,
    ):
        yield found
