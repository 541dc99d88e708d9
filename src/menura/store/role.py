"""What somebody may do."""

from enum import StrEnum

__all__ = ["Role"]


class Role(StrEnum):
    """Each may do what those before it may.

    Attributes:
        LISTEN: See what there is, and hear previews.
        USE: Speak with the voices, record, convert.
        MANAGE: Change the library, the settings and the tokens, end what others do.

    >>> Role.USE.covers(Role.LISTEN), Role("use").covers(Role.MANAGE)
    (True, False)
    """

    LISTEN = "listen"
    USE = "use"
    MANAGE = "manage"

    def covers(self, other: "Role") -> bool:
        """Whether this one may do what the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}
