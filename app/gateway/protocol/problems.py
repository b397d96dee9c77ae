"""Errors of the REST API as problem details (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

#: For the OpenAPI document.
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "What kind of problem, `about:blank` where the status says it all."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong here, and what would be right."},
        "instance": {"type": "string", "description": "The path that was asked for."},
    },
}


class Problem(Exception):
    """A request that ends in an error; `more` are members beyond RFC 9457's own."""

    def __init__(self, status: int, kind: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.more = status, kind, detail, more


def problem_response(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells a problem."""
    title = HTTPStatus(problem.status).phrase
    kind = f"urn:tapereader:problem:{problem.kind}" if problem.kind else "about:blank"
    body = {"type": kind, "title": title, "status": problem.status, "detail": problem.detail}
    body |= {"instance": request.url.path, **problem.more}
    return Response(msgspec.json.encode(body), problem.status, headers, MEDIA_TYPE)


def response_of(problem_status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """An error answer for a route's `responses`."""
    return {problem_status: {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}}


def install(api: FastAPI) -> None:
    """Make every error of an API a problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
        return problem_response(request, error, headers)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(request, Problem(error.status_code, "", str(error.detail)), dict(error.headers or {}))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [{"where": ".".join(map(str, each["loc"])), "what": each["msg"]} for each in error.errors()]
        detail = "; ".join(f"{each['where']}: {each['what']}" for each in faults)
        return problem_response(request, Problem(422, "invalid-parameter", detail, errors=faults))

    async def on_other(request: Request, error: Exception) -> Response:
        return problem_response(request, Problem(500, "", "the gateway failed on this request; its log says how"))

    api.add_exception_handler(Problem, on_problem)
    api.add_exception_handler(HTTPException, on_http)
    api.add_exception_handler(RequestValidationError, on_invalid)
    api.add_exception_handler(Exception, on_other)
