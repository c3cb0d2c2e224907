"""Statements that go on while the next are prepared: in order, and none after one that failed."""

import asyncio

import pytest

from pathfinder.store.ahead import Ahead


class Session:
    """Whatever carries statements out: notes what it did, and never does two at once."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.first = asyncio.Event()
        self._busy = False

    async def carry_out(self, name: str, fails: bool = False) -> None:
        """One statement, which takes a while."""
        assert not self._busy
        self._busy = True
        await asyncio.sleep(0.001)
        self._busy = False
        self.did.append(name)
        self.first.set()
        if fails:
            raise ValueError(name)


async def test_one_after_the_other_while_something_else_is_done() -> None:
    """And the first begins at once."""
    session = Session()
    async with Ahead() as ahead:
        for name in "abc":
            await ahead.do(session.carry_out(name))
        assert session.did == []
        await session.first.wait()
        assert session.did == ["a"]
        await ahead.done()
        assert session.did == ["a", "b", "c"]
        await ahead.do(session.carry_out("d"))
    assert session.did == ["a", "b", "c", "d"]


async def test_none_begins_after_one_that_failed() -> None:
    """Not even those that are given later."""
    session = Session()

    async def work() -> None:
        async with Ahead() as ahead:
            await ahead.do(session.carry_out("a"))
            await ahead.do(session.carry_out("b", fails=True))
            await ahead.do(session.carry_out("c"))
            with pytest.raises(ValueError, match="b"):
                await ahead.done()
            await ahead.do(session.carry_out("d"))

    with pytest.raises(ValueError, match="b"):
        await work()
    assert session.did == ["a", "b"]


async def test_what_goes_on_is_waited_for_when_the_caller_fails() -> None:
    """So that the transaction can be rolled back; the caller's own error is what is raised."""
    session = Session()

    async def work() -> None:
        async with Ahead() as ahead:
            await ahead.do(session.carry_out("a", fails=True))
            raise KeyError

    with pytest.raises(KeyError):
        await work()
    assert session.did == ["a"]
