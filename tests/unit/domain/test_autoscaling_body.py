"""What may be written about scaling, and what is refused with words that help."""

from typing import Any

import pytest
from pydantic import ValidationError

from pathfinder.domain.autoscaling import Autoscaling

CPU = {"type": "cpu", "target_percent": 70}
QUEUE = {"type": "http", "url": "http://queue/stats", "pointer": "/waiting", "target_per_replica": 10}


def body(**given: Any) -> Autoscaling:
    return Autoscaling.model_validate({"min": 1, "max": 10, "metrics": [CPU]} | given)


def test_little_needs_to_be_written() -> None:
    """Bounds and one metric are enough; growing is quick and shrinking careful."""
    written = body()

    assert (written.up.stabilisation_seconds, written.down.stabilisation_seconds) == (0, 300)
    assert written.predictive is None
    assert written.metrics[0].called == "cpu"


def test_what_is_kept_reads_back_the_same() -> None:
    """A document that is stored with every default is the same body again."""
    written = body(
        metrics=[CPU, QUEUE, {"type": "schedule", "cron": "0 8 * * 1-5", "duration_seconds": 60, "replicas": 4}]
    )

    assert Autoscaling.model_validate(written.model_dump(mode="json")) == written


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min": 11}, "above max"),
        ({"min": 0}, "min is 0"),
        ({"min": 0, "metrics": [{**QUEUE, "target_per_replica": None, "target_value": 3}]}, "min is 0"),
        ({"metrics": []}, "at least 1"),
        ({"metrics": [CPU, CPU]}, "called 'cpu'"),
        ({"metrics": [{"type": "cpu"}]}, "target_percent"),
        ({"metrics": [{"type": "cpu", "target_percent": 0}]}, "greater than 0"),
        ({"metrics": [{"type": "cpu", "target_percent": "NaN"}]}, "finite|greater than 0"),
        ({"metrics": [{"type": "moon"}]}, "does not match any"),
        ({"metrics": [{**QUEUE, "target_value": 3}]}, "one of target_per_replica and target_value"),
        ({"metrics": [{**QUEUE, "pointer": "waiting"}]}, "RFC 6901"),
        ({"metrics": [{**QUEUE, "url": "file:///etc/passwd"}]}, "web address"),
        ({"metrics": [{"type": "schedule", "cron": "61 * * * *", "duration_seconds": 60, "replicas": 1}]}, "cron does"),
        ({"metrics": [{"type": "schedule", "cron": "0 0 31 2 *", "duration_seconds": 60, "replicas": 1}]}, "cron does"),
        (
            {
                "metrics": [
                    {
                        "type": "schedule",
                        "cron": "0 8 * * *",
                        "duration_seconds": 60,
                        "replicas": 1,
                        "time_zone": "../etc/passwd",
                    }
                ]
            },
            "time zone",
        ),
        ({"up": {"rates": [{"replicas": 1, "percent": 5}]}}, "one of replicas and percent"),
        ({"tolerance": 1}, "less than 1"),
        ({"minimum": 1}, "[Ee]xtra"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], words: str) -> None:
    """Nothing that could never scale, or never stop, gets as far as being stored."""
    with pytest.raises(ValidationError, match=words):
        body(**given)


def test_none_at_all_is_fine_where_something_can_ask_for_the_first_one() -> None:
    """A queue that fills up, or a time of day, brings a deployment back from nothing."""
    assert body(min=0, metrics=[CPU, QUEUE]).min == 0
