"""What a secret of the settings has to be, so that it keeps anyone out."""

from pydantic import SecretStr

from app.errors import SettingsError


def checked_secret(name: str, secret: SecretStr, least: int) -> str:
    """A secret's text. Raises `SettingsError`, which names the setting and shows nothing of the secret.

    An empty one would let in whoever sends none, and one with a line's end, as files have it, whoever never could.
    """
    found = secret.get_secret_value()
    if found != found.strip():
        raise SettingsError(
            f"{name}: expected no space or line end around the secret, was there; make it anew, as by `printf %s`"
        )
    if len(found) < least:
        raise SettingsError(
            f"{name}: expected at least {least} characters, was {len(found)}; make one by `openssl rand -base64 48`"
        )
    return found
