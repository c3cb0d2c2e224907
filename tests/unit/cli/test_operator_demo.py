"""What `pathfinder demo` decides: where pfi goes, what a container's status means, and which image is used."""

from pathlib import Path
from typing import Any

import pytest

from pathfinder.cli.operator.demo import BUILT_IN, STAND_IN, choose_image, is_there, pfi_environment
from pathfinder.cli.pfi.profiles import Target, resolve
from pathfinder.embedded.control_plane import ControlPlane
from pathfinder.embedded.errors import EmbeddedError
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.stack import Running

RUNNING = Running("http://127.0.0.1:8080", "ours", None)


class Answers(ControlPlane):
    """An API that tells of one container, differently each time."""

    def __init__(self, *statuses: str | None, **fields: str) -> None:
        super().__init__("http://nowhere")
        self.left = list(statuses)
        self.fields = {"message": None, "retry_at": None} | fields

    def container(self, hostname: str) -> Any:
        status = self.left.pop(0)
        return {"status": status, **self.fields} if status else None


def test_pfi_goes_to_what_was_started_whatever_the_users_environment_says(surroundings: Path) -> None:
    """A demo that created something at the company's would be a surprise."""
    surroundings.write_text('[profiles.local]\nserver = "http://127.0.0.1:8080"\n')
    theirs = {"PFI_SERVER": "https://company", "PFI_TOKEN": "t", "PFI_CLUSTER": "live", "PFI_PROFILE": "company"}

    environment = pfi_environment(theirs | {"PFI_CONFIG": str(surroundings)}, RUNNING, "local")

    assert resolve({}, environment) == Target("http://127.0.0.1:8080", "default", "ours")


@pytest.mark.parametrize(
    ("statuses", "there"),
    [
        ([None], False),
        (["PROVISIONED"], True),
        (["PENDING", "SCHEDULED", "PROVISIONED"], True),
        (["LOST", "LOST", "PROVISIONED"], True),
        (["SCHEDULE_DELETION", "SCHEDULE_DELETION", None], False),
    ],
)
def test_a_container_on_its_way_is_waited_for(statuses: list[str | None], there: bool) -> None:
    """Until it runs, or is gone and can be made."""
    api = Answers(*statuses)

    assert is_there(api, "web", Silent()) is there
    assert api.left == []


def test_a_container_that_failed_is_told_with_its_reason() -> None:
    """It is there, but it is not what was asked for."""
    with pytest.raises(EmbeddedError, match="no space left"):
        is_there(Answers("PROVISION_ERROR", "PROVISION_ERROR", message="no space left"), "web", Silent())


def test_a_failure_that_is_tried_again_is_not_the_end() -> None:
    """As for `pfi create --wait`."""
    api = Answers("PROVISION_ERROR", "PROVISION_ERROR", "PROVISIONED", retry_at="2026-11-23T20:30:05Z")

    assert is_there(api, "web", Silent())


@pytest.mark.parametrize(
    ("current", "given", "reachable", "image"),
    [
        (BUILT_IN, None, True, BUILT_IN),
        (BUILT_IN, None, False, STAND_IN),
        (STAND_IN, None, True, BUILT_IN),
        (STAND_IN, None, False, STAND_IN),
        ("local:mine", None, False, "local:mine"),
        ("local:mine", "debian:13", True, "local:mine"),
        (BUILT_IN, "debian:13", False, "debian:13"),
        (BUILT_IN, BUILT_IN, False, BUILT_IN),
        (STAND_IN, "debian:13", True, "debian:13"),
    ],
)
def test_an_image_that_somebody_chose_is_used(current: str, given: str | None, reachable: bool, image: str) -> None:
    """Only the built-in one is replaced where it cannot be had, and comes back where it can."""
    assert choose_image(current, given, lambda: reachable)[0] == image


def test_what_is_said_of_an_image_is_true() -> None:
    """Each choice has its own words."""
    assert "Ubuntu" not in choose_image("local:mine", None, lambda: True)[1]
    assert "Ubuntu" in choose_image(STAND_IN, None, lambda: True)[1]
    assert "cannot be reached" in choose_image(STAND_IN, None, lambda: False)[1]
