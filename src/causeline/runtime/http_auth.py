"""Tokens as clients send them: a bearer token, or the password of basic authentication."""

import base64
import binascii
import secrets


def carries_token(authorization: str, token: str) -> bool:
    """Whether an Authorization header carries `token`; compared in constant time."""
    scheme, _, credentials = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            given = credentials.strip()
        case "basic":
            given = _password(credentials)
        case _:
            return False
    return secrets.compare_digest(given.encode(), token.encode())


def _password(credentials: str) -> str:
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return text.partition(":")[2]
