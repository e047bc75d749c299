"""Whether a container, lock, session or writer can be used, and the error that it raises where it cannot."""

from __future__ import annotations

from enum import Enum
from typing import Final

from aimstore.errors import AimstoreError, ClosedError, FencedError


class State(Enum):
    """The states of whatever is opened, used and closed; each knows the error that use in this state raises.

    Keep the state in one attribute and compare it by identity with `OPEN`, which costs a hot path next to nothing::

        class Door:
            def __init__(self) -> None:
                self._state = State.NOT_OPENED

            def use(self) -> None:
                if self._state is not OPEN:
                    raise self._state.error("the door")  # ClosedError: the door is not open yet
                ...

            def close(self) -> None:
                self._state.check("the door")  # the same in one call, where speed does not matter
                self._state = State.CLOSED

            def _after_fork_in_child(self) -> None:
                if self._state is OPEN:
                    self._state = State.FORKED

    A second sentence goes in as `remedy`::

        State.CLOSED.error("run 3fa9", "open it again with Run(run_hash=…)")
        # ClosedError: run 3fa9 is closed; open it again with Run(run_hash=…)
    """

    OPEN = AimstoreError, "is open"
    NOT_OPENED = ClosedError, "is not open yet"
    CLOSED = ClosedError, "is closed"
    RELEASED = FencedError, "was released"
    LOST = FencedError, "is lost"
    FORKED = ClosedError, "belongs to the parent process; a forked child needs its own"

    def __init__(self, kind: type[AimstoreError], predicate: str) -> None:
        self._kind = kind
        self._predicate = predicate

    def error(self, what: str, remedy: str = "") -> AimstoreError:
        """The error that use of `what` raises in this state.

        Args:
            what: the subject of the message: "container meta/chunks/3fa9".
            remedy: what else the message says, such as what to do.
        """
        assert self is not State.OPEN, f"{what} is open"
        return self._kind(f"{what} {self._predicate}{f'; {remedy}' if remedy else ''}")

    def check(self, what: str, remedy: str = "") -> None:
        """Return if this is `OPEN`.

        Raises:
            ClosedError: the object is not open yet, is closed, or belongs to the parent process.
            FencedError: the object was released or is lost.
        """
        if self is not State.OPEN:
            raise self.error(what, remedy)


OPEN: Final = State.OPEN
"""`State.OPEN` as a name of its own: on Python 3.11, looking a member up in its class takes longer than comparing it."""
