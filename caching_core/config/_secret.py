"""Values that must not be seen: keys, passwords, and addresses that may carry one."""

import hashlib
import hmac
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from caching_core.errors import ConfigInvalid

MASK: Final = "********"


class Secret:
    """A text that is shown as a mask everywhere and leaves the object only by ``reveal()``.

    It does not travel in a pickle: what comes out of one knows only that it was withheld.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str | None) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; raises ConfigInvalid on a copy that came out of a pickle."""
        if self._text is None:
            raise ConfigInvalid(
                "this secret was left out when its configuration was pickled; build the configuration again in this process"
            )
        return self._text

    def digest(self) -> str:
        """Return a hash that stands for the text where equality matters, never to be shown."""
        return hashlib.sha256(b"caching-core/secret/v1" + self.reveal().encode("utf-8", "surrogatepass")).hexdigest()

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        if self._text is None or other._text is None:
            return self._text is other._text
        return hmac.compare_digest(self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return self._text != ""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[None]]:
        return type(self), (None,)

    @classmethod
    def _accept(cls, value: object) -> Self:
        """Take a text or a secret; the mask itself is refused, so that a printed configuration is not read back as one."""
        if isinstance(value, cls):
            return value
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str):
            raise ValueError(f"expected text, got {type(value).__name__}")  # noqa: TRY004 - pydantic collects ValueError only
        if not text.strip():
            raise ValueError("expected text, got an empty one; leave the setting out instead")
        if MASK in text:
            raise ValueError("this is the mask of a printed configuration, not the secret itself")
        return cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # Any: pydantic's own signature
        """Validate by ``_accept``; a JSON dump shows the mask."""
        return core_schema.no_info_plain_validator_function(
            cls._accept, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )


class SecretURL(Secret):
    """An address whose password is masked; the rest of it is shown."""

    __slots__ = ()

    def __str__(self) -> str:
        return MASK if self._text is None else _without_password(self._text)


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    if "@" in parts.path or (parts.scheme and "://" not in url):
        return MASK  # no address that we know how to read, and perhaps a password
    userinfo, at, host = parts.netloc.rpartition("@")
    user, colon, _ = userinfo.partition(":")
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    query = "?" + "&".join(_masked_pair(pair) for pair in parts.query.split("&")) if parts.query else ""
    return f"{scheme}{user}{colon and ':' + MASK}{at}{host}{parts.path}{query}"


def _masked_pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    harmless = name in {"db", "protocol", "ssl_cert_reqs", "socket_timeout", "client_name"}
    return f"{name}{equals}{value if harmless else MASK}" if equals else MASK
