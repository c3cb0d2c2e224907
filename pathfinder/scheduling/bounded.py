"""Calls of code that may not come back."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

#: So often in a row may a call be late; then there are no more until the process starts anew.
LATE = 3


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.answer: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer = self.function()
        except BaseException as error:
            self.error = error
        self.done.set()


class Bounded:
    """Calls on a thread of their own, each of which is waited for at most `seconds`.

    Nothing in Python can stop a call that hangs: it keeps the thread, which does not keep the process from ending, and
    there are no more calls until it comes back. So whatever hangs costs one thread, and one wait. Code that hangs
    outside Python without releasing the interpreter's lock cannot even be waited for; nobody here can help that.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._turn = threading.Lock()
        self._calls: SimpleQueue[_Call] | None = None
        self._out: _Call | None = None
        self._late = 0

    def call(self, function: Callable[[], Any]) -> Any:
        """What it returns, or raises; TimeoutError, in words, where it is late or is not called any more."""
        with self._turn:
            if self._late >= LATE:
                raise TimeoutError(f"is off until this process starts anew: it was late {LATE} times in a row")
            if self._out is not None and not self._out.done.is_set():
                raise TimeoutError("is off in this process: a call has not come back, and its thread cannot be stopped")
            if self._calls is None:
                self._calls = SimpleQueue()
                threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True).start()
            call = self._out = _Call(function)
            self._calls.put(call)
            if not call.done.wait(self._seconds):
                self._late += 1
                raise TimeoutError(f"did not answer within {self._seconds:g} s; the thread it hangs in is left alone")
            self._late, self._out = 0, None
        if call.error is not None:
            raise call.error
        return call.answer


def _work(calls: SimpleQueue[_Call]) -> None:
    while True:
        calls.get().run()
