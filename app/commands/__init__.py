"""`tapereader`: the command line."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from app import __version__
from app.commands.capacity import capacity as print_capacity
from app.commands.console import DataDir, KafkaPort, configured, err, errors, out, progress, run
from app.settings import Plan, Settings, Source

#: Groups of commands, imported when they are asked for: the others should not wait for them.
GROUPS = {
    "config": "app.commands.config:config_app",
    "topics": "app.commands.topics:topics_app",
    "cache": "app.commands.cache:cache_app",
    "watch": "app.commands.watch:watch_app",
    "get": "app.commands.watch:get_app",
    "contract": "app.commands.contract:contract_app",
    "dead-letters": "app.commands.dead_letters:dead_letters_app",
}


class _Root(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        module, name = GROUPS[cmd_name].split(":")
        command = get_command(getattr(import_module(module), name))
        command.name = cmd_name
        return command


cli = typer.Typer(
    cls=_Root,
    name="tapereader",
    help="Live scanners over the US-equities tape: Faust on Kafka, widgets over WebSocket.\n\n"
    "`tapereader up` starts everything on this machine and prints the address of the page. Without an API key "
    "the events come from a simulated market. Every switch is also an environment variable: "
    "`tapereader config doc` lists them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RedisPort = Annotated[int | None, typer.Option(help="Port of the Redis that `up` starts.")]
MarketStart = Annotated[
    str | None, typer.Option(help="When the simulated market starts (ET): 09:25, 'Fri 19:58', 2026-11-25T12:58.")
]
SimulatorPlan = Annotated[
    Plan | None, typer.Option("--plan", help="Plan of the simulated account: what its key may see.")
]
_MARKS = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}
HttpPort = Annotated[int | None, typer.Option(help="Port of the page, REST and WebSocket.")]


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"tapereader {__version__}")
        raise typer.Exit


@cli.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


@cli.command()
def up(
    ctx: typer.Context,
    data_dir: DataDir = None,
    kafka_port: KafkaPort = None,
    redis_port: RedisPort = None,
    http_port: HttpPort = None,
    control_port: Annotated[int | None, typer.Option(help="Port of the producer's HTTP control.")] = None,
    simulator_port: Annotated[int | None, typer.Option(help="Port of the simulator.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of worker processes.")] = None,
    partitions: Annotated[int | None, typer.Option(help="Partitions of every topic.")] = None,
    source: Annotated[Source | None, typer.Option(help="Where events come from.")] = None,
    symbols: Annotated[int | None, typer.Option(help="Symbols of the simulated market, at most 12,000.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated market.")] = None,
    speed: Annotated[float | None, typer.Option(help="Speed of the simulated market's clock.")] = None,
    market_start: MarketStart = None,
    simulator_plan: SimulatorPlan = None,
    browser: Annotated[bool | None, typer.Option("--browser/--no-browser", help="Open the page.")] = None,
) -> None:
    """Start the whole platform on this machine: Kafka, Redis, source, workers, gateway.

    Ctrl-C stops all of it; a second `up` goes on with the same data.

    Examples: `tapereader up`, `tapereader up --source none` (for a replay), `tapereader up --speed 60`,
    `KAFKA_BOOTSTRAP_SERVERS=kafka:9092 tapereader up` (a Kafka of your own).
    """
    from app.local.up import Up

    run(lambda settings: Up(settings).run(), **ctx.params)


@cli.command()
def down(data_dir: DataDir = None) -> None:
    """Stop a running `tapereader up`."""
    from app.local.state import down as stop

    with errors():
        settings = Settings.load(data_dir=data_dir)
        if stop(settings.data_dir):
            out.print("stopped")
        else:
            out.print(f"nothing runs on {settings.data_dir.resolve()}")


@cli.command()
def status(
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show what a running `tapereader up` does. The exit code is 3 when none runs."""
    from app.local.disk import Usage
    from app.local.state import last_end, read_state, readiness

    with errors():
        settings = Settings.load(data_dir=data_dir)
        state = read_state(settings.data_dir)
        if state is None:
            end = last_end(settings.data_dir)
            if as_json:
                sys.stdout.write(json.dumps({"running": False, "last_end": end}) + "\n")
            else:
                err.print(
                    f"nothing runs on {settings.data_dir.resolve()}; start it by `tapereader up`", highlight=False
                )
                if end is not None:
                    err.print(escape(end), highlight=False, soft_wrap=True)
            raise typer.Exit(3)
        if as_json:
            sys.stdout.write(json.dumps(state, indent=1) + "\n")
            return
        table = Table(show_header=False, box=None)
        for name, value in state.items():
            if name == "processes":
                for process in value:
                    table.add_row(process["name"], Text(_told(process, readiness)))
            elif name == "disk":
                table.add_row(name, Usage(**value).told())
            elif name == "standing":
                for fault in value:
                    table.add_row("stands still", Text(fault))
            elif name not in ("ends", "started_at", "started"):
                table.add_row(name.replace("_", " "), "-" if value is None else str(value))
        out.print(table)


def _told(process: dict[str, Any], readiness: Callable[[dict[str, Any]], str]) -> str:
    """A process in one line: what it says of itself, and why it ended the last time."""
    parts = [readiness(process) if process["alive"] else "ended"]
    if process["pid"] is not None:
        parts.append(f"pid {process['pid']}")
    parts.append(f"{process['restarts']} restart{'' if process['restarts'] == 1 else 's'}")
    if process.get("reason"):
        parts.append(f"ended the last time: {process['reason']}")
    return ", ".join(parts)


@cli.command()
def doctor(
    ctx: typer.Context,
    data_dir: DataDir = None,
    vendor: Annotated[
        bool,
        typer.Option("--vendor", help="Ask the vendor what the key's plan has, instead of looking at the machine."),
    ] = False,
    source: Annotated[Source | None, typer.Option(help="Whom to ask: massive, or a running simulator.")] = None,
) -> None:
    """Look at this machine: is everything there that the platform needs?

    `tapereader doctor --vendor` asks the vendor instead: key, hosts, channels and REST endpoints, as a table. It
    opens a connection of the account, so that the vendor closes another one that is open.
    """
    if vendor:
        run(_print_plan, data_dir=data_dir, source=source)
        return
    from app.local.doctor import examine

    with errors():
        failed = False
        for finding in examine(Settings.load(data_dir=data_dir, source=source)):
            failed |= finding.level == "fail"
            out.print(f"{_MARKS[finding.level]} {finding.subject:<16} {finding.text}", highlight=False)
        if failed:
            raise typer.Exit(1)


async def _print_plan(settings: Settings) -> None:
    from producers.vendor_check import ask

    table = Table("", "what", "answer", "used for", box=None, pad_edge=False)
    failed = False
    with err.status("asking the vendor …") as shown:

        def waiting(wait_s: float) -> None:
            shown.update(f"the plan has few calls a minute: going on in {wait_s:.0f} s …")

        async for answer in ask(settings, waiting):
            failed |= answer.level == "fail"
            table.add_row(_MARKS[answer.level], answer.subject, answer.answer, answer.used_for)
    out.print(table, highlight=False)
    if failed:
        raise typer.Exit(1)


@cli.command()
def simulate(
    ctx: typer.Context,
    simulator_port: Annotated[int | None, typer.Option(help="Port of WebSocket and REST.")] = None,
    symbols: Annotated[int | None, typer.Option(help="Symbols of the simulated market, at most 12,000.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated market.")] = None,
    speed: Annotated[float | None, typer.Option(help="Speed of the simulated market's clock.")] = None,
    market_start: MarketStart = None,
    simulator_plan: SimulatorPlan = None,
) -> None:
    """Serve a simulated market: Massive's WebSocket and REST protocols on one port.

    Examples: `tapereader simulate`, `tapereader simulate --plan starter` (bars only, 15 minutes late, at
    `/delayed/stocks`).
    """
    from producers.simulator import serve

    run(serve, **ctx.params)


@cli.command()
def produce() -> None:
    """Bring the live feed into the raw topics (one process per Massive account)."""
    from producers.produce import run as bring

    run(bring)


@cli.command()
def worker() -> None:
    """Run one worker; start more for more partitions at a time. Same as `faust -A app.main worker`."""
    with errors():
        configured()
        from app.main import run_worker

        run_worker()


@cli.command()
def gateway() -> None:
    """Serve the page, REST and WebSocket."""
    with errors():
        from app.gateway.server import run as serve

        serve(configured())


@cli.command()
def record(
    file: Annotated[Path, typer.Argument(help="File to write, such as today.ndjson.zst.")],
    kafka_port: KafkaPort = None,
) -> None:
    """Write what the raw topics hold into a compressed file that `replay` plays."""
    from app.kafka.access import KafkaAccess
    from producers.record import record as write

    async def job(settings: Settings) -> None:
        with progress("recording") as advance:
            count = await write(KafkaAccess.of(settings), file, progress=advance)
        out.print(f"{count:,} events in {file}")

    run(job, kafka_port=kafka_port)


@cli.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Recorded file, or JSON lines of Massive events (.gz, .zst).")],
    speed: Annotated[str, typer.Option(help="1, 10, … times the tape's own pace, or max.")] = "1",
    reference: Annotated[Path | None, typer.Option(help="JSON file with the previous day of each symbol.")] = None,
    kafka_port: KafkaPort = None,
) -> None:
    """Play a file into the raw topics, in event-time order.

    Example: `tapereader up --source none` in one terminal, and in another
    `tapereader replay tape.ndjson.gz --speed max --reference reference.json`.
    """
    from app.kafka.access import KafkaAccess
    from producers.replay import replay as play

    async def job(settings: Settings) -> None:
        with progress("replaying") as advance:
            sent = await play(
                KafkaAccess.of(settings), file, speed=_speed(speed), reference=reference, progress=advance
            )
        out.print("  ".join(f"{name} {count:,}" for name, count in sorted(sent.items())))

    run(job, kafka_port=kafka_port)


cli.command("capacity")(print_capacity)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise typer.BadParameter(f"--speed {text}: expected a number above 0, or max")
    return value


def main() -> None:
    """Entry point."""
    # Named here: as `python -m app` it would call itself that in its help.
    cli(prog_name="tapereader")
