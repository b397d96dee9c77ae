"""What `tapereader up` shows: steps while it starts, then one screen; plain lines without a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.kafka import topics
from app.local.processes import ManagedProcess

if TYPE_CHECKING:
    from app.local.observe import Observation

#: Warnings that stay on the screen.
KEPT_WARNINGS = 4


class Screen:
    """Shows steps, warnings and the status."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._warnings: list[str] = []

    @property
    def is_terminal(self) -> bool:
        """Whether someone sees a screen."""
        return self._console.is_terminal

    def step(self, part: str, what: str) -> None:
        """A part is being worked on."""
        self._console.print(Text.assemble(("  … ", "yellow"), (f"{part:<11}", "bold"), what))

    def done(self, part: str, what: str) -> None:
        """A part is there."""
        self._console.print(Text.assemble(("  ✓ ", "green"), (f"{part:<11}", "bold"), what))

    def warn(self, what: str) -> None:
        """Something went wrong that is dealt with."""
        self._warnings = [*self._warnings, what][-KEPT_WARNINGS:]
        if self._live is None or not self.is_terminal:
            self._console.print(Text(f"  ! {what}", "red"), soft_wrap=True)

    def ready(self, address: str) -> None:
        """Everything runs."""
        self._console.print()
        self._console.print(Text.assemble("  The page: ", (address, "bold cyan"), "   Ctrl-C stops everything."))

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep the status on one screen while the context lasts."""
        if not self.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=2, transient=True) as self._live:
            yield
        self._live = None

    def status(self, address: str, observation: "Observation", processes: Sequence[ManagedProcess]) -> None:
        """Show the status now."""
        if self._live is not None:
            self._live.update(self._panel(address, observation, processes))
            return
        working = sum(process.alive and process.name not in observation.amiss for process in processes)
        told = [*([observation.error] if observation.error else []), *_faults(observation)]
        self._console.print(
            f"events in {observation.events_in_per_s:,.0f}/s  rows out {observation.rows_out_per_s:,.0f}/s  "
            f"lag {_count(observation.lag)}  symbols {_count(observation.symbols)}  "
            f"working {working}/{len(processes)}" + (f"  ({'; '.join(told)})" if told else ""),
            soft_wrap=True,
        )

    def _panel(self, address: str, observation: "Observation", processes: Sequence[ManagedProcess]) -> Panel:
        summary = Table.grid(padding=(0, 2))
        workers = [process for process in processes if process.name.startswith("worker")]
        working = [process for process in workers if process.alive and process.name not in observation.amiss]
        summary.add_row(
            Text.assemble(("events in ", "dim"), (f"{observation.events_in_per_s:,.0f}/s", "bold")),
            Text.assemble(("rows out ", "dim"), (f"{observation.rows_out_per_s:,.0f}/s", "bold")),
            Text.assemble(("lag ", "dim"), (_count(observation.lag), "bold")),
            Text.assemble(("symbols ", "dim"), (_count(observation.symbols), "bold")),
            Text.assemble(("workers ", "dim"), (f"{len(working)}/{len(workers)}", "bold")),
        )
        # Without wrapping, and as narrow as a terminal of 80 columns wants it.
        rates = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
        rates.add_column("topic", no_wrap=True, min_width=22)
        for name in ("records", "per s"):
            rates.add_column(name, no_wrap=True, justify="right")
        for spec in (*topics.RAW_TOPICS, *topics.PUBLIC_TABLES):
            rates.add_row(
                spec.name, f"{observation.ends.get(spec.name, 0):,}", f"{observation.rates.get(spec.name, 0.0):,.0f}"
            )
        parts = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
        for name in ("process", "pid", "state", "again"):
            parts.add_column(name, no_wrap=True)
        for process in processes:
            parts.add_row(process.name, str(process.pid or "-"), _state(process, observation), str(process.restarts))
        both = Table.grid(padding=(0, 1))
        both.add_row(rates, parts)
        warnings = [Text(f"! {warning}", "red") for warning in self._warnings]
        if observation.error:
            warnings.append(Text(f"! {observation.error}", "red"))
        warnings += [Text(f"! {fault}", "red") for fault in _faults(observation)]
        return Panel(
            Group(summary, Text(), both, *warnings), title=f"Tapereader  {address}", subtitle="Ctrl-C stops everything"
        )


def _state(process: ManagedProcess, observation: "Observation") -> Text:
    if not process.alive:
        return Text(f"ended ({process.last_code})", "red")
    return Text("not ready", "yellow") if process.name in observation.amiss else Text("running", "green")


def _faults(observation: "Observation") -> list[str]:
    """What does not work, in a line each; of many partitions the first three."""
    amiss = [f"{name}: {what}" for name, what in observation.amiss.items()]
    more = len(observation.standing) - 3
    return [*amiss, *observation.standing[:3], *([f"{more} more partitions stand still"] if more > 0 else [])]


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
