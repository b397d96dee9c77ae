"""Who may read the gateway, and how much of it."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode


class GatewaySettings(BaseModel):
    """Who may read the gateway, and how much of it."""

    gateway_api_key: SecretStr | None = Field(
        None, description="Key that clients of the gateway must send; unset: open."
    )
    gateway_api_keys: SecretStr | None = Field(
        None, description="More keys, each with a role: `viewer:KEY,operator:KEY`; an operator may control processes."
    )
    gateway_jwt_secret: SecretStr | None = Field(
        None, description="Secret by which tokens (JWT, HS256) of clients are checked."
    )
    gateway_jwt_jwks_url: str | None = Field(None, description="URL of the keys by which tokens are checked (JWKS).")
    gateway_jwt_issuer: str | None = Field(None, description="Issuer that tokens must name; unset: any.")
    gateway_jwt_audience: str | None = Field(None, description="Audience that tokens must name; unset: any.")
    gateway_jwt_leeway_s: float = Field(30.0, ge=0, le=600, description="How far a token's clock may be off.")
    gateway_jwt_role_claim: str = Field(
        "role", description="Claim that names the role (text or list, `a.b` for one within another); none: viewer."
    )
    gateway_session_secret: SecretStr | None = Field(
        None, description="Secret (32 characters or more) that signs sessions; unset: one for each start."
    )
    gateway_oidc_issuer: str | None = Field(
        None, description="OpenID Connect provider that people sign in at, its issuer's URL; unset: no sign-in."
    )
    gateway_oidc_client_id: str | None = Field(None, description="The gateway's client id at the provider.")
    gateway_oidc_client_secret: SecretStr | None = Field(None, description="The gateway's client secret there.")
    gateway_oidc_scope: str = Field("openid profile email", description="What the provider is asked for.")
    gateway_oidc_role_claim: str = Field("role", description="Claim of the ID token that names the role.")
    gateway_public_url: str | None = Field(
        None, description="Address by which browsers reach the gateway; unset: the one that they name."
    )
    gateway_control_url: str | None = Field(
        None, description="URL of the producer's HTTP control; unset: its port on this machine."
    )
    gateway_session_s: float = Field(43_200.0, gt=0, description="A person's sign-in is good for this long.")
    gateway_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names by which an open gateway may be called beside this machine's, its address and its public "
        "URL, comma-separated; others are refused (DNS rebinding).",
    )
    gateway_open: bool = Field(False, description="Let the gateway be open to a network, without a key.")
    gateway_max_clients: int = Field(2000, ge=1, description="WebSocket clients of one gateway process.")
    gateway_max_subscriptions: int = Field(500, ge=1, description="Subscriptions of one WebSocket client.")
    gateway_tape_mib: int = Field(
        256, ge=16, description="Memory (MiB) for the trades of all symbols while someone asks for one's."
    )
    gateway_max_scans: int = Field(200, ge=1, description="Different scans (filter and options) of one process.")
    gateway_slow_client_s: float = Field(10.0, gt=0, description="A client that takes nothing for this long is closed.")
