"""What the writer of the tour stores."""


def payload(number: int) -> dict[str, object]:
    """Return what the writer stores as its ``number``-th value."""
    return {"number": number, "text": f"{number:08d}" * 64}
