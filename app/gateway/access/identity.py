"""Who someone is to the gateway, and why someone is refused."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class Role(IntEnum):
    """What someone may do: viewers read, operators also control."""

    VIEWER = 1
    OPERATOR = 2

    @property
    def label(self) -> str:
        """The role's name in settings and tokens."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Identity:
    """Someone who is signed in; `expires_s` is the Unix time at which that ends, None: it does not."""

    subject: str
    role: Role
    expires_s: float | None = None


Fault = Literal[
    "no_credentials", "invalid_key", "not_a_token", "bad_signature", "unknown_key", "expired_token",
    "token_not_valid_yet", "wrong_audience", "wrong_issuer", "missing_claim", "keys_unavailable",
]  # fmt: skip


class SignInRefused(Exception):
    """Credentials that are not taken; the text says what was wrong and nothing of what would be right."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault: Fault = fault
