"""Guards the four top-level import names: other packages on PyPI install some of them too."""

import importlib.util
from importlib.metadata import packages_distributions
from pathlib import Path

from app.errors import StartupError

ROOTS = ("app", "agents", "tables", "producers")


def foreign_names() -> dict[str, str]:
    """Names of ours that another distribution has taken, and by what."""
    home = Path(__file__).resolve().parents[1]
    found: dict[str, str] = {}
    owners = packages_distributions()
    for name in ROOTS:
        others = set(owners.get(name, ())) - {"tapereader"}
        spec = importlib.util.find_spec(name)
        if others:
            found[name] = ", ".join(sorted(others))
        elif spec is None or spec.origin is None or home not in Path(spec.origin).resolve().parents:
            found[name] = str(spec.origin if spec else "nothing")
    return found


def check_names() -> None:
    """Raise `StartupError` when a foreign package stands where one of ours should."""
    for name, owner in foreign_names().items():
        raise StartupError(
            f"the package `{name}` belongs to {owner}, not to Tapereader; "
            "install Tapereader into an environment of its own"
        )
