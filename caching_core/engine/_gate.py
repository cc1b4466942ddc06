"""The port through which an operation that must not happen unrecorded asks for its record first."""

from typing import Protocol


class AuditGate(Protocol):
    """Records privileged operations before they are done; implemented above, where the audit log is."""

    def admit(self, action: str, *, tenant: str, namespace: str) -> None:
        """Record that ``action`` is about to be done. Raises AuditUnavailable: then it must not be done."""
        ...

    def failed(self, action: str, *, tenant: str, namespace: str) -> None:
        """Record that an admitted action could not be done."""
        ...


class OpenGate:
    """The gate of a cache that keeps no audit log."""

    __slots__ = ()

    def admit(self, action: str, *, tenant: str, namespace: str) -> None:
        """Let everything pass."""

    def failed(self, action: str, *, tenant: str, namespace: str) -> None:
        """Note nothing."""
