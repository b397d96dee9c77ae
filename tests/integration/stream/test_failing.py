"""One way to fail: whatever leaves memory and Kafka apart ends the process, not with 0, and says why."""

import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.eventually import eventually
from tests.worker_processes import WorkerProcesses

#: What happens, what the log has to say of it, and what stands in the changelog before.
WAYS = {
    "unreadable row": (r"UnreadableRowError: .*\.table\[0\] holds a row that this version cannot read", b"no number"),
    "fold in place": ("ZeroDivisionError: half done", None),
    "announcement": ("MessageSizeTooLargeError", None),
    "callback": ("LookupError: callback of partition 0", None),
    "no state": ("MissingStateError: table: partition 0 is assigned to this worker and has no rows", None),
    "stop": ("the worker was told to stop and has not after 20 s", None),
    "loop": ("worker_ended_hard .*nothing moved for 3 s", None),
}

#: The ways that are shown in seconds; the others wait for a bound of time.
SHORT = ("unreadable row", "fold in place")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", [how if how in SHORT else pytest.param(how, marks=pytest.mark.verify) for how in WAYS])
async def test_the_process_ends_with_a_reason(how: str, broker_url: str, unique: str, tmp_path: Path) -> None:
    """Within the seconds that a stop in order has; the record is not committed."""
    name, (reason, row) = f"fails-{unique}", WAYS[how]
    admin = AIOKafkaAdminClient(bootstrap_servers=broker_url)
    await admin.start()
    await admin.create_topics([NewTopic(f"{name}.{what}", 1, 1) for what in ("source", "table", "dead", "announced")])
    producer = AIOKafkaProducer(bootstrap_servers=broker_url)
    await producer.start()
    await producer.send_and_wait(f"{name}.source", key=b"a", value=b"1")
    if row is not None:
        await producer.send_and_wait(f"{name}.table", key=b"a", value=row)
    await producer.stop()
    workers = WorkerProcesses(tmp_path, ["-m", "tests.integration.stream.failing_app", broker_url, name, how])
    workers.start()
    try:
        if how == "stop":
            written = tmp_path / "worker-1.log"
            await eventually(lambda: b"Worker ready" in written.read_bytes(), timeout_s=40)
            workers.running[0].terminate()
        await eventually(lambda: workers.running[0].poll() is not None, timeout_s=50)
        code = workers.running[0].returncode
    finally:
        workers.stop()
    committed = await admin.list_consumer_group_offsets(name)
    await admin.close()
    log = (tmp_path / "worker-1.log").read_text()

    assert code == 1, log
    assert re.search(reason, log), log
    if how != "stop":
        assert all(found.offset <= 0 for found in committed.values())
