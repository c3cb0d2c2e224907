"""The values at which something becomes a problem, each with its reason.

Every mark has two values: a problem opens at the first and stays until the second, lower one is passed, so that what
swings round a mark is said once.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A value at which a problem opens, and the lower one below which it is over."""

    opens: float
    ends: float

    def passed(self, value: float, is_open: bool) -> bool:
        """Whether there is a problem with `value`, given whether there was one."""
        return value >= (self.ends if is_open else self.opens)


#: Processes say every few seconds that they live; three times missed is no accident.
SILENT_SECONDS = Mark(15, 15)
#: RabbitMQ restarts within this time without anybody having to know.
BROKER_SILENT_SECONDS = Mark(10, 0.001)
#: Far below the bounds of the queues (topology.py), above what a burst of creates or a broker's restart leaves there.
QUEUE_MESSAGES = Mark(5_000, 1_000)
#: A row is published within milliseconds; at half a minute nobody publishes, or the broker takes nothing.
OUTBOX_SECONDS = Mark(30, 5)
DEAD_LETTERS = Mark(1, 1)
#: Gone three times in the ten minutes that are counted is no accident; quiet again once it was gone at most once.
MISSING_TIMES = Mark(3, 2)
#: The first failures are retried within seconds and mostly end there.
FAILED_ATTEMPTS = Mark(3, 1)
#: One that was restarted so often in a row is not helped by it.
RESTARTS = Mark(3, 1)
#: Above nine tenths there is hardly a node left to take what is on another.
CLAIMED_SHARE = Mark(0.90, 0.85)
#: What a standby may be behind: a promotion replays it first, or loses it.
STANDBY_BYTES = Mark(64 << 20, 16 << 20)
STANDBY_SECONDS = Mark(30, 5)
