"""The OpenAPI document: every answer has an example, every error is a problem."""

from typing import Any

import pytest

from app.gateway.http.api import create_api
from app.settings import Settings

DOCUMENT = create_api(Settings.load()).openapi()
OPERATIONS = [
    pytest.param(operation, id=f"{method} {path}")
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_says_what_it_does_and_shows_an_answer(operation: dict[str, Any]) -> None:
    assert operation["summary"] or operation["description"]
    answers = [answer for code, answer in operation["responses"].items() if code.startswith("2")]
    contents = [content for answer in answers for content in answer.get("content", {}).values()]
    assert any("example" in content for content in contents)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_needs_a_sign_in_says_so(operation: dict[str, Any]) -> None:
    if set(operation["tags"]) & {"operator", "filters", "stream"}:
        assert "application/problem+json" in operation["responses"]["401"]["content"]
