"""Objects that belong to the process that made them: they refuse to be pickled or copied."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

from bridge.errors import UsageError


class ProcessBound:
    """A class whose objects hold connections, threads, keys or resources of one process.

    They work in no other process, and have no copies. A pickle would also contain the secrets of their settings.
    """

    __slots__ = ()

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        """Refuse `pickle`, `copy.copy` and `copy.deepcopy`.

        Raises:
            UsageError: Always; the text says what to do in a worker process.
        """
        raise UsageError(
            f"`{type(self).__name__}` belongs to the process that made it, and may hold secrets: it can be "
            "neither pickled nor copied; make one in each process, for instance in the initializer of a process pool, "
            "and hand over what it is made from"
        )
