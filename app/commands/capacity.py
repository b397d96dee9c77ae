"""`tapereader capacity`: what a load needs."""

from typing import Annotated

import typer
from rich.table import Table

from app.commands.capacity_load import FIGURES, WHOLE_TAPE
from app.commands.capacity_model import course, needs
from app.commands.console import out

Slowdown = Annotated[float, typer.Option(min=0.1, help="How much slower a core is than the measured one.")]


def capacity(
    share: Annotated[float, typer.Option(min=0.001, max=10, help="Part of the whole tape's load.")] = 1.0,
    replication_factor: Annotated[int, typer.Option(min=1, max=9, help="Replicas of every topic.")] = 3,
    brokers: Annotated[int, typer.Option(min=1, help="Brokers of the Kafka cluster.")] = 3,
    slowdown: Slowdown = 1.0,
) -> None:
    """What a load needs: workers, partitions and Kafka's bytes, from measured figures.

    And how fewer and more workers get through the open, simulated. docs/capacity.md says where the
    figures come from.
    """
    load = {
        kind: type(each)(each.peak_per_s * share, each.per_day * share, each.retention_h)
        for kind, each in WHOLE_TAPE.items()
    }
    wanted = needs(load, replication_factor=replication_factor, brokers=brokers, slowdown=slowdown)
    table = Table(show_header=False, box=None)
    for name, value in (
        ("cores at the peak", f"{wanted.cores_at_peak:.2f}"),
        ("workers, one core each", str(wanted.workers)),
        ("partitions", str(wanted.partitions)),
        ("written to Kafka in a day", _bytes(wanted.written_bytes_per_day)),
        ("held by Kafka", _bytes(wanted.held_bytes)),
        ("disk of each broker", _bytes(wanted.disk_bytes_per_broker)),
        ("written at the peak", f"{_bytes(wanted.peak_bytes_per_s)}/s"),
    ):
        table.add_row(name, value)
    out.print(table)
    topics = Table("topic", "written in a day", "at the peak", "held", box=None, header_style="bold")
    for each in wanted.by_topic:
        written, held = each.written_per_day * replication_factor, each.held * replication_factor
        peak = f"{_bytes(each.peak_per_s * replication_factor)}/s"
        topics.add_row(each.spec.declared, _bytes(written), peak, _bytes(held))
    out.print("\nKafka's bytes by topic, all replicas:")
    out.print(topics)
    simulated = Table("workers", "longest delay", "most waiting", "behind for", box=None, header_style="bold")
    for workers in range(1, wanted.workers + 2):
        seen = course(load, workers, FIGURES, slowdown=slowdown)
        until = "the whole hour" if seen.behind_until_s is None else f"{seen.behind_until_s:,.0f} s"
        simulated.add_row(str(workers), f"{seen.longest_delay_s:,.1f} s", f"{seen.most_waiting:,.0f} events", until)
    out.print("\nThe hour after the open:")
    out.print(simulated)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
