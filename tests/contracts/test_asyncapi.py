"""The published contract is the code's, and what the code writes keeps to it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app import contract, topics
from app.market import halts
from app.topics import TopicSpec
from producers.simulator.luld import HALT_CODES

FILE = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def test_the_document_is_what_the_code_makes() -> None:
    """Made anew by `python -m app.contract docs/asyncapi.yaml`."""
    assert FILE.read_text(encoding="utf-8") == contract.render()


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


def test_the_worker_reads_the_simulators_halt_codes() -> None:
    """The two parts do not import each other, so each has them."""
    from agents.halts import SIMULATED

    assert SIMULATED == HALT_CODES
    assert isinstance(SIMULATED, halts.HaltCodes)
