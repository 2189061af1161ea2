"""The base URL of an executor, split so that its credentials go into a header and into no message."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit


class UnusableUrlError(ValueError):
    """A base URL that no call can be sent to; the message names what is wrong and never the credentials."""


@dataclass(frozen=True)
class BaseUrl:
    """Where to send calls, without trailing slashes and without credentials, and the header made of those."""

    url: str
    #: Value of the Authorization header, where the URL had credentials.
    authorization: str | None = field(default=None, repr=False)


def split(text: str) -> BaseUrl:
    """Take `text` apart.

    Raises:
        UnusableUrlError: it is not an absolute http or https URL.
    """
    if not isinstance(text, str):
        raise UnusableUrlError("the base URL is text, as 'http://host:port'")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise UnusableUrlError("the base URL cannot be read as a URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UnusableUrlError("the base URL must look like http://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    return BaseUrl(urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, "")), basic(parts.netloc))


def masked(text: str) -> str:
    """`text` with the credentials of a URL replaced by `***`; anything else as it stands."""
    scheme, separator, rest = text.partition("://")
    authority, slash, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    return f"{scheme}{separator}***{at}{host}{slash}{path}" if separator and at and userinfo else text


def basic(netloc: str) -> str | None:
    """The Authorization header made of the credentials before the `@` of `netloc`, if it has any."""
    userinfo, at, _ = netloc.rpartition("@")
    if not at:
        return None
    user, _, password = userinfo.partition(":")
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
