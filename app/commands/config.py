"""`tapereader config show|doc|check`: the settings."""

import typer
from pydantic import SecretStr
from rich.markup import escape
from rich.table import Table

from app.commands.console import errors, out
from app.kafka.access import KafkaAccess
from app.observability.logs import mask
from app.settings import PREFIX, Settings

config_app = typer.Typer(help="Show, document and check the settings.", no_args_is_help=True)


@config_app.command("show")
def config_show() -> None:
    """The settings in force, secrets hidden."""
    with errors():
        settings = Settings.load()
        shown = settings.as_environment()
        for name in type(settings).model_fields:
            secret = isinstance(getattr(settings, name), SecretStr)
            value = "**********" if secret else mask(shown.get(f"{PREFIX}{name.upper()}", ""))
            out.print(f"{PREFIX}{name.upper()}={escape(value)}", highlight=False, soft_wrap=True)


@config_app.command("doc")
def config_doc() -> None:
    """Every setting: its environment variable, default and meaning."""
    table = Table("variable", "default", "meaning", box=None, header_style="bold")
    for name, found in Settings.model_fields.items():
        default = found.get_default(call_default_factory=True, validated_data={})
        table.add_row(f"{PREFIX}{name.upper()}", str(default), found.description or "")
    out.print(table)


@config_app.command("check")
def config_check() -> None:
    """Check the environment's settings; the exit code is 1 when one is wrong."""
    with errors():
        KafkaAccess.of(Settings.load())
        out.print("the settings are right")
