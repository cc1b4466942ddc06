"""What a slot of L1 carries beyond the plain case."""


class Extra:
    """Tags and limits of a slot that has more than one lifetime and one key cell.

    ``tag_cells`` indexes of the tags' cells, in the order of ``mark[1:]``; ``tags`` their names;
    ``hard`` the monotonic moment after which the value is never served (``until`` is then the soft limit).
    """

    __slots__ = ("hard", "tag_cells", "tags")

    def __init__(self, tags: tuple[str, ...], *, tag_cells: tuple[int, ...], hard: float) -> None:
        self.tags = tags
        self.tag_cells = tag_cells
        self.hard = hard
