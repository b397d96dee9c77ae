"""`tapereader contract list|show|write`: what the records of the topics are."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app import contract
from app.commands.console import err, out

contract_app = typer.Typer(help="Show what the records of each topic are, as JSON Schema.", no_args_is_help=True)


@contract_app.command("list")
def list_command() -> None:
    """The topics that others may read, and the types of their records."""
    table = Table("topic", "key", "records", "what", box=None, header_style="bold")
    for spec, records in contract.RECORDS.items():
        table.add_row(spec.declared, spec.key, ", ".join(record.__name__ for record in records), spec.describes)
    out.print(table)


@contract_app.command("show")
def show_command(
    topic: Annotated[
        str | None, typer.Argument(help="A topic; all in one AsyncAPI document where none is named.")
    ] = None,
) -> None:
    """Print the JSON Schema of a topic's records, or the AsyncAPI document of all topics.

    Example: `tapereader contract show market.quotes`.
    """
    if topic is None:
        typer.echo(contract.render(), nl=False)
        return
    spec = next((spec for spec in contract.RECORDS if spec.declared == topic), None)
    if spec is None:
        names = ", ".join(spec.declared for spec in contract.RECORDS)
        err.print(f"{topic}: there is no such topic with a contract; there are {names}")
        raise typer.Exit(1)
    typer.echo(contract.schema_text(spec), nl=False)


@contract_app.command("write")
def write_command(
    directory: Annotated[Path, typer.Argument(help="Where `asyncapi.yaml` and `schemas/` go.")] = Path("docs"),
) -> None:
    """Write the AsyncAPI document and the JSON Schema of each topic into a directory."""
    out.print(f"{len(contract.write(directory))} files in {directory}")
