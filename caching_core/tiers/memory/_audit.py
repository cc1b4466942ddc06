"""Recounts for tests and the doctor: what is counted as it goes must equal what stands there."""


def expect_same(what: str, counted: object, found: object) -> None:
    """Raise AssertionError when a running count differs from the recount."""
    if counted != found:
        raise AssertionError(f"L1 accounting: {what} is counted as {counted!r}, a recount finds {found!r}")


def expect_at_most(what: str, found: float, limit: float) -> None:
    """Raise AssertionError when a bound is exceeded."""
    if found > limit:
        raise AssertionError(f"L1 bound: {what} is {found}, at most {limit} is allowed")
