"""People sign in at an OpenID Connect provider; a signed cookie then says who they are.

https://openid.net/specs/openid-connect-core-1_0.html, the code flow with PKCE; authlib does the protocol.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.middleware.sessions import SessionMiddleware

from app import clock
from app.errors import SettingsError
from app.gateway.access.identity import Role, SignInRefused
from app.gateway.access.tokens import role_of
from app.gateway.http.rest import gateway_of
from app.gateway.protocol.problems import Problem, response_of
from app.settings import Settings

log = structlog.get_logger(__name__)

SESSION_COOKIE = "tapereader_session"

session_router = APIRouter(prefix="/api", tags=["session"])

_EXAMPLE = {
    "mode": "login", "signed_in": True, "subject": "ann", "name": "Ann Example", "role": "operator",
    "token": "eyJ…", "token_expires_ms": 1795210500000, "login_url": "/auth/login", "ws": "/ws",
}  # fmt: skip


@session_router.get(
    "/session",
    responses={200: {"description": "Who asks", "content": {"application/json": {"example": _EXAMPLE}}}},
)
async def get_session(request: Request) -> Response:
    """Who the page's user is, and a short-lived token for the WebSocket; anyone may ask.

    `mode`: `open` (nobody signs in), `key` (an API key or a token is needed), `login` (people sign in at
    `login_url`).
    """
    access = gateway_of(request).access
    mode = "open" if access.open else "login" if access.login else "key"
    found: dict[str, Any] = {"mode": mode, "signed_in": False, "subject": None, "name": None, "role": None}
    found |= {
        "token": None,
        "token_expires_ms": None,
        "login_url": "/auth/login" if access.login else None,
        "ws": "/ws",
    }
    try:
        identity = await access.of_request(request.headers, request.scope.get("session"))
    except SignInRefused:
        return _json(found)
    found |= {"signed_in": True, "subject": identity.subject, "role": identity.role.label}
    found["name"] = request.scope.get("session", {}).get("name")
    if not access.open:
        token, ends_s = access.tokens.issue(identity)
        found |= {"token": token, "token_expires_ms": round(ends_s * 1000)}
    return _json(found)


def install(api: FastAPI, settings: Settings, session_secret: bytes) -> None:
    """Add the sign-in of people, where a provider is set. Raises `SettingsError` where half of it is."""
    if settings.gateway_oidc_issuer is None:
        return
    if settings.gateway_oidc_client_id is None:
        raise SettingsError("TAPEREADER_GATEWAY_OIDC_ISSUER is set: TAPEREADER_GATEWAY_OIDC_CLIENT_ID is needed, too")
    api.include_router(_routes(settings, _provider(settings, settings.gateway_oidc_issuer)))
    api.add_middleware(
        SessionMiddleware,
        secret_key=session_secret.hex(),
        session_cookie=SESSION_COOKIE,
        max_age=round(settings.gateway_session_s),
        # Lax, not strict: the provider sends people back from its own site.
        same_site="lax",
        https_only=(settings.gateway_public_url or "").startswith("https://"),
    )


def _provider(settings: Settings, issuer: str) -> Any:
    # Here, not above: what it imports is of no use to a gateway without sign-in.
    from authlib.integrations.starlette_client import OAuth

    secret = settings.gateway_oidc_client_secret
    return OAuth().register(
        "provider",
        client_id=settings.gateway_oidc_client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": settings.gateway_oidc_scope, "code_challenge_method": "S256", "timeout": 10.0},
    )


def _routes(settings: Settings, provider: Any) -> APIRouter:
    from authlib.integrations.base_client import OAuthError
    from joserfc.errors import JoseError

    router = APIRouter(prefix="/auth", tags=["session"])
    moved: dict[int | str, dict[str, Any]] = {307: {"description": "To the provider"}}

    @router.get("/login", status_code=307, responses=moved | response_of(502, "The provider does not answer"))
    async def login(request: Request, next: str = "/") -> Response:
        """Send the browser to the provider; after the sign-in it comes back to `next`, a page of the gateway's."""
        request.session["next"] = next if _is_own(next) else "/"
        back = f"{(settings.gateway_public_url or str(request.base_url)).rstrip('/')}/auth/callback"
        try:
            answer: Response = await provider.authorize_redirect(request, back)
        except Exception as error:
            raise Problem(
                502, "provider-unavailable", f"the sign-in provider failed: {type(error).__name__}"
            ) from error
        return answer

    @router.get(
        "/callback",
        status_code=303,
        responses=response_of(401, "The sign-in is not valid") | response_of(502, "The provider's answer is none"),
    )
    async def callback(request: Request) -> Response:
        """Where the provider sends people back to."""
        try:
            token = await provider.authorize_access_token(request)
        except (OAuthError, JoseError) as error:
            raise Problem(401, "login-failed", f"the sign-in failed: {error}; begin again at /auth/login") from None
        except Exception as error:
            # Not reached, no JSON, JSON of another form: whatever it is, it is the provider's answer that is wrong.
            log.warning("provider_failed", error=repr(error))
            raise Problem(
                502, "provider-unavailable", f"the sign-in provider failed: {type(error).__name__}"
            ) from error
        claims = token.get("userinfo")
        if not isinstance(claims, Mapping) or not claims.get("sub"):
            raise Problem(401, "login-failed", "the sign-in failed: the provider's ID token names nobody")
        page = request.session.get("next", "/")
        request.session.clear()
        request.session.update(
            subject=str(claims["sub"]),
            name=str(claims.get("name") or claims.get("email") or claims["sub"]),
            role=role_of(claims, settings.gateway_oidc_role_claim).label,
            expires_s=clock.wall_s() + settings.gateway_session_s,
        )
        return RedirectResponse(page, 303)

    @router.post("/logout", status_code=204)
    async def logout(request: Request) -> Response:
        """Forget who it is; the provider's own session stays."""
        request.session.clear()
        return Response(status_code=204)

    return router


def _is_own(path: str) -> bool:
    """Whether a redirection stays with the gateway, however often someone on the way decodes it.

    Browsers take `//host` and backslashes for another site, and leave control characters out.
    """
    while True:
        if not path.startswith("/") or path.startswith("//") or "\\" in path or not path.isprintable():
            return False
        decoded = unquote(path)
        if decoded == path:
            return True
        path = decoded


def operates(identity_role: Role) -> None:
    """Raises `Problem` (403) for who may not control."""
    if identity_role is not Role.OPERATOR:
        raise Problem(403, "not-an-operator", "this takes the role operator; you are signed in as viewer")


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})
