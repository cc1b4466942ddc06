"""How the processes of a host name and frame what they share: all of one directory must do it alike."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scheme:
    """The settings on which the names and frames in a store depend.

    A process of another scheme finds nothing under the names of this one, and so invalidates nothing there.
    """

    security_enabled: bool = True
    has_hashed_names: bool = False

    @property
    def number(self) -> int:
        """Return it as a number above 0."""
        return 1 | self.security_enabled << 1 | self.has_hashed_names << 2

    @classmethod
    def of(cls, number: int) -> "Scheme":
        """Return the scheme of a number."""
        return cls(security_enabled=bool(number & 2), has_hashed_names=bool(number & 4))

    def settings(self) -> dict[str, str]:
        """Return the settings that make it, by name."""
        return {
            "security_enabled": str(self.security_enabled).lower(),
            "key_privacy": "hashed" if self.has_hashed_names else "clear",
        }

    def differences(self, other: "Scheme") -> list[tuple[str, str, str]]:
        """Return name, value here and value there of each setting that differs."""
        there = other.settings()
        return [(name, value, there[name]) for name, value in self.settings().items() if value != there[name]]
