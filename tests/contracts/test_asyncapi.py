"""The published contract is the code's, and what the code writes keeps to it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from app import contract
from app.gateway.http import rest
from app.gateway.http import tables as routes_tables
from app.kafka import topics
from app.kafka.topics import TopicSpec

DOCUMENTS = Path(__file__).parents[2] / "docs"
FILE = DOCUMENTS / "asyncapi.yaml"


@pytest.mark.parametrize("name", contract.files())
def test_the_documents_are_what_the_code_makes(name: str) -> None:
    """Made anew by `tapereader contract write docs`."""
    assert (DOCUMENTS / name).read_text(encoding="utf-8") == contract.files()[name]


def test_there_is_no_schema_of_what_is_no_topic() -> None:
    """A topic that is renamed takes its schema along."""
    assert {f"schemas/{path.name}" for path in (DOCUMENTS / "schemas").iterdir()} == contract.files().keys() - {
        FILE.name
    }


@pytest.mark.parametrize("spec", contract.RECORDS)
def test_a_schema_is_one_and_refers_to_itself_only(spec: TopicSpec) -> None:
    """By the meta-schema of its draft."""
    schema = contract.schema_of(spec)
    Draft202012Validator.check_schema(schema)
    assert all(reference.removeprefix("#/$defs/") in schema["$defs"] for reference in references(schema))


@pytest.mark.parametrize(
    ("spec", "example"),
    [
        (topics.MARKET_QUOTES, rest.EXAMPLE_ROW),
        (topics.LEADERBOARDS, rest.EXAMPLE_BOARD | {"entries": [rest.EXAMPLE_ENTRY]}),
        (topics.TRADE_WINDOWS, routes_tables.EXAMPLE_WINDOW),
        (topics.NBBO, routes_tables.EXAMPLE_NBBO),
        (topics.MARKET_HALTS, routes_tables.EXAMPLE_HALT),
        (topics.DAILY_RANGES, routes_tables.EXAMPLE_RANGE),
        (topics.ALERTS, routes_tables.EXAMPLE_ALERT),
    ],
)
def test_the_examples_of_rest_keep_to_the_schema_of_their_table(spec: TopicSpec, example: dict[str, Any]) -> None:
    """And what lacks a required field does not."""
    validator = Draft202012Validator(contract.schema_of(spec))
    validator.validate(example)
    lacking = {name: value for name, value in example.items() if name not in ("symbol", "board")}
    assert not validator.is_valid(lacking)


@pytest.mark.parametrize("spec", [spec for spec in topics.ALL_TOPICS if spec.public and spec is not topics.UNKNOWN])
def test_every_public_topic_has_its_types(spec: TopicSpec) -> None:
    """Only events that no type describes have none."""
    assert contract.RECORDS[spec]


def references(node: Any) -> set[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    if isinstance(node, list):
        return set().union(*map(references, node))
    return set()


def test_every_reference_leads_somewhere() -> None:
    """In the file as it is."""
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    found = references(document)
    assert len(found) > 20
    for reference in found:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
