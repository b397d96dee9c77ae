"""What all commands share: output, settings and logs set up, one clear sentence for what goes wrong."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.errors import StartupError, TapereaderError
from app.observability.printable import printable
from app.settings import Settings

out, err = Console(), Console(stderr=True)

DataDir = Annotated[Path | None, typer.Option(help="Directory of Kafka's and Redis's data and of the logs.")]
KafkaPort = Annotated[int | None, typer.Option(help="Port of the Kafka that `up` starts.")]


@contextmanager
def errors() -> Iterator[None]:
    """One clear sentence and an exit code instead of a traceback, for what is known to go wrong."""
    try:
        yield
    except (TapereaderError, OSError) as error:
        text = escape(printable(str(error), keep="\n"))
        err.print(f"[red]error:[/] {text}", highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code if isinstance(error, TapereaderError) else 1) from None


def configured(**given: Any) -> Settings:
    """The settings, switches that were given on top; the logs are set up by them."""
    from app.observability.logs import configure

    settings = Settings.load(**given)
    configure(settings)
    return settings


def run(job: Callable[[Settings], Coroutine[Any, Any, None]], **given: Any) -> None:
    """Run a command's coroutine to its end."""
    # Here, not above: what runs no coroutine should not wait for Kafka's client to be imported.
    from aiokafka.errors import KafkaConnectionError

    with errors():
        settings = configured(**given)
        try:
            asyncio.run(job(settings))
        except KafkaConnectionError as error:
            raise StartupError(
                f"Kafka at {settings.bootstrap_servers} does not answer; start one by `tapereader up`, "
                "or set KAFKA_BOOTSTRAP_SERVERS"
            ) from error


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar; gives the function that moves it."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
