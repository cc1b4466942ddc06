"""What is kept in the cache: under which key, for how long, with which tags. Django, FastAPI and Celery all take it from here."""

from typing import NamedTuple, TypedDict


class Options(TypedDict):
    """What a bound handle's ``set`` and ``get_or_set`` take."""

    ttl: float
    tags: tuple[str, ...]
    data_type: str


class Entry(NamedTuple):
    """One entry: its key, its lifetime in seconds, the tags that invalidate it, and what it is."""

    key: str
    ttl: float
    tags: tuple[str, ...]
    data_type: str

    @property
    def options(self) -> Options:
        """Return the options for storing it."""
        return {"ttl": self.ttl, "tags": self.tags, "data_type": self.data_type}


def artist_tag(artist: int) -> str:
    """Return the tag that every entry about an artist bears."""
    return f"artist:{artist}"


def artist_page(artist: int) -> Entry:
    """Return the page of an artist."""
    return Entry(f"artist:{artist}:page", 600, (artist_tag(artist),), "page")


def track(number: int) -> Entry:
    """Return a track; it bears a tag of its own, since its artist is only known once it is loaded."""
    return Entry(f"track:{number}", 600, (f"track:{number}",), "metadata")


def embedding(number: int) -> Entry:
    """Return the embedding of a track: what costs most to make and changes least."""
    return Entry(f"track:{number}:embedding", 86_400, (f"track:{number}",), "embedding")


def chart() -> Entry:
    """Return the chart of a label, which a task makes anew each minute."""
    return Entry("chart", 300, (), "chart")


def announcement() -> Entry:
    """Return what a label has to say; written when it is saved, and read from the cache alone."""
    return Entry("announcement", 86_400, (), "configuration")


def session(number: str, listener: str = "") -> Entry:
    """Return a listener's session; one tag ends all of a listener's."""
    return Entry(f"session:{number}", 1800, (f"listener:{listener}",), "session")
