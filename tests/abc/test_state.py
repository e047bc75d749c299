"""What use of something raises in each state."""

from __future__ import annotations

import pytest

from aimstore.abc import OPEN, State
from aimstore.errors import AimstoreError, ClosedError, FencedError


def test_what_is_open_may_be_used() -> None:
    OPEN.check("the door")


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        (State.NOT_OPENED, ClosedError, "the door is not open yet"),
        (State.CLOSED, ClosedError, "the door is closed"),
        (State.RELEASED, FencedError, "the door was released"),
        (State.LOST, FencedError, "the door is lost"),
        (State.FORKED, ClosedError, "the door belongs to the parent process; a forked child needs its own"),
    ],
)
def test_every_other_state_says_why_not(state: State, kind: type[AimstoreError], message: str) -> None:
    with pytest.raises(kind, match=f"^{message}$"):
        state.check("the door")


def test_the_remedy_comes_last() -> None:
    assert str(State.CLOSED.error("the door", "knock")) == "the door is closed; knock"


def test_every_state_is_one_of_its_own() -> None:
    assert len(set(State)) == len(State.__members__) == 6
