"""A connection as the resolvers of a tenant see it."""

from collections.abc import Iterator, Mapping

from starlette.types import Scope

from caching_core.tenancy import RequestView


class _Headers(Mapping[str, str]):
    """Header lines by lower-case name, looked for when they are asked for; several of one name joined by commas."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[tuple[bytes, bytes]]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        wanted = name.encode("latin-1")
        values = [value for line, value in self._lines if line.lower() == wanted]
        if not values:
            raise KeyError(name)
        return b", ".join(values).decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(line.lower().decode("latin-1") for line, _ in self._lines))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _User(Mapping[str, object]):
    """The attributes of who was authenticated: ``scope["user"]``, an object or a mapping of claims."""

    __slots__ = ("_user",)

    def __init__(self, user: object) -> None:
        self._user = user

    def __getitem__(self, name: str) -> object:
        user = self._user
        if isinstance(user, Mapping):
            return user[name]
        try:
            return getattr(user, name)
        except (AttributeError, NotImplementedError):  # Starlette's users leave what they lack unimplemented
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._user if isinstance(self._user, Mapping) else vars(self._user))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def routed_path(scope: Scope) -> str:
    """Return the path below the place where the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    below = path.removeprefix(root)
    return below if root and below != path and below[:1] in {"", "/"} else path


def view_of(scope: Scope) -> RequestView:
    """Return the view of an HTTP or WebSocket connection."""
    headers = _Headers(scope["headers"])
    client = scope.get("client")
    user = scope.get("user")
    return RequestView(
        path=routed_path(scope),
        host=headers.get("host", ""),
        headers=headers,
        peer=client[0] if client else "",
        attributes={} if user is None else _User(user),
    )
