"""`pfi dead`: the messages nobody could process."""

import json
import sys
from typing import Any

import pytest
from fake_api import AT, FakeApi, Pfi, found, page, problem


def letter(id_: int = 7, **changes: Any) -> dict[str, Any]:
    """A dead letter, as a list has it."""
    plain = {
        "id": id_,
        "at": AT,
        "queue": "pathfinder.node.node-01",
        "kinds": ["provision"],
        "subjects": ["web-01", "web-02"],
        "reason": "KeyError: 'profiles'",
        "deliveries": 5,
        "exchange": "pathfinder.commands",
        "routing_key": "node-01",
        "size_bytes": 2048,
    }
    return plain | changes


WHOLE = letter(replayable=True, envelopes=[{"kind": "provision", "body": {"hostname": "web-01\x1b"}}], text=None)


def test_the_list_lines_up_and_says_why(pfi: Pfi, api: FakeApi) -> None:
    """Newest first, as the server gives them."""
    api.on("GET", "/dead", page(letter(12), letter(7, subjects=[], kinds=[])))

    ran = pfi("dead", "list")

    assert ran.code == 0
    assert ran.lines[0].split() == ["ID", "AGE", "QUEUE", "KIND", "SUBJECT", "REASON"]
    assert "web-01 +1" in ran.lines[1]
    assert ran.lines[1].endswith("KeyError: 'profiles'")
    assert ran.lines[2].index("KeyError") == ran.lines[1].index("KeyError")


def test_the_wide_list_has_more_columns(pfi: Pfi, api: FakeApi) -> None:
    """Where it was published, and how often it was tried."""
    api.on("GET", "/dead", page(letter()))

    assert "DELIVERIES" in pfi("dead", "list", "-o", "wide").lines[0]


def test_the_list_as_json_is_the_servers(pfi: Pfi, api: FakeApi) -> None:
    """For scripts; and the queue narrows it on the server."""
    api.on("GET", "/dead", page(letter()))

    assert json.loads(pfi("dead", "list", "-q", "pathfinder.recorder", "-o", "json").out)[0]["id"] == 7
    assert api.requests[0].url.params["queue"] == "pathfinder.recorder"


def test_a_long_list_is_cut_and_says_so(pfi: Pfi, api: FakeApi) -> None:
    """--limit shows more."""
    api.on("GET", "/dead", page(*(letter(number) for number in range(1, 6))))

    ran = pfi("dead", "list", "--limit", "3", "-o", "name")

    assert ran.lines == ["1", "2", "3"]
    assert "more than 3" in ran.err


def test_an_empty_list_says_so(pfi: Pfi, api: FakeApi) -> None:
    """That is how it should be."""
    api.on("GET", "/dead", page())

    assert "no dead letters" in pfi("dead", "list").err


def test_a_dead_letter_is_shown_whole_and_harmless(pfi: Pfi, api: FakeApi) -> None:
    """Its body may hold anything; the terminal gets none of it raw."""
    api.on("GET", "/dead/7", found(WHOLE))

    ran = pfi("dead", "show", "7")

    assert ran.code == 0
    assert "Reason:      KeyError: 'profiles'" in ran.lines
    assert '"hostname": "web-01\\u001b"' in ran.out
    assert "\x1b" not in ran.out


def test_one_that_is_not_there_is_an_error(pfi: Pfi, api: FakeApi) -> None:
    """Somebody was faster."""
    api.on("GET", "/dead/8", problem(404, "There is no dead letter named '8'."))

    assert pfi("dead", "show", "8").code == 1


def test_several_are_replayed_and_the_others_reported(pfi: Pfi, api: FakeApi) -> None:
    """One that cannot be does not keep the rest from it."""
    api.on("POST", "/dead/7/replay", problem(409, "Nobody could ever read it."))
    api.on("POST", "/dead/8/replay", found({"replayed": 1, "kept": 0}))

    ran = pfi("dead", "replay", "7", "8")

    assert ran.code == 1
    assert ran.lines == ["dead letter 8 is replayed"]
    assert "Nobody could ever read it." in ran.err


def test_all_are_replayed_where_that_is_meant(pfi: Pfi, api: FakeApi) -> None:
    """What was kept is told, and the code says that not all went."""
    api.on("POST", "/dead/replay", found({"replayed": 3, "kept": 1}))

    ran = pfi("dead", "replay", "--all", "--queue", "pathfinder.recorder", "--yes")

    assert ran.code == 1
    assert ran.lines == ["3 dead letters replayed"]
    assert "1 dead letter kept" in ran.err
    assert api.requests[0].url.params["queue"] == "pathfinder.recorder"


def test_dropping_all_needs_a_yes(pfi: Pfi, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a script it must be written; on a terminal it is asked for."""
    api.on("DELETE", "/dead", found({"dropped": 2}))

    assert pfi("dead", "drop", "--all").code == 2
    assert api.requests == []

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert pfi("dead", "drop", "--all").lines == ["2 dead letters dropped"]
    assert api.requests[0].url.params["all"] == "true"


def test_one_is_dropped_without_a_question(pfi: Pfi, api: FakeApi) -> None:
    """It was named."""
    api.on("DELETE", "/dead/7", found({"dropped": 1}))

    assert pfi("dead", "drop", "7").lines == ["dead letter 7 is dropped"]


@pytest.mark.parametrize("arguments", [[], ["7", "--all"], ["7", "--queue", "q"]])
def test_it_must_be_clear_which_are_meant(pfi: Pfi, arguments: list[str]) -> None:
    """Nobody means all of them by saying nothing."""
    assert pfi("dead", "drop", *arguments).code == 2
