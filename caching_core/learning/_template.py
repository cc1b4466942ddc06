"""Key templates: the text of a key with the identifiers cut out."""

import re
from typing import Final

HOLE: Final = "{}"
_LONGEST_LOOKED_AT: Final = 256  # what follows is cut off: two keys that differ only there are of one kind
_WORDS: Final = re.compile(r"[^\s:/|]+@[^\s:/|]+|[0-9A-Za-z_-]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{8,}")
_SHORTEST_TOKEN: Final = 16


def template_of(key: str) -> str:
    """Return the template of a key: ``user:17:profile`` is of ``user:{}:profile``.

    Cut out are numbers, UUIDs, hexadecimal digests, addresses with ``@`` and random tokens (16 characters and more).
    A name is no identifier to who does not know it: ``user:ada:profile`` is a template of its own. Takes time linear in
    the key.
    """
    return _WORDS.sub(_cut, key[:_LONGEST_LOOKED_AT])


def _cut(found: re.Match[str]) -> str:
    word = found[0]
    if "@" in word:
        return HOLE
    if word.isalpha():
        return word
    if word.isdigit() or _UUID.fullmatch(word) or _HEX.fullmatch(word) or _is_token(word):
        return HOLE
    return _DIGITS.sub(HOLE, word)


def _is_token(word: str) -> bool:
    """Tell whether a word looks drawn at random: long, and rich in digits, or with digits among letters of both cases."""
    if len(word) < _SHORTEST_TOKEN:
        return False
    digits = sum(character.isdigit() for character in word)
    return digits * 5 >= len(word) or (digits >= 2 and word != word.lower() and word != word.upper())
