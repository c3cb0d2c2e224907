"""The documents: what they say about the code is what the code says."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from api.app import create_app
from api.tail import Tail
from pathfinder import telemetry
from pathfinder.bootstrap import Process
from pathfinder.broker.topology import SHARED
from pathfinder.domain.lifecycle import Status
from pathfinder.domain.messages import Command, Exchange, Kind, Report
from pathfinder.settings import Settings

_ENDINGS = {"counter": "_total", "info": "_info"}
ROOT = Path(__file__).parents[2]
DRAW = runpy.run_path(str(ROOT / "docs" / "draw.py"))
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("compose/*.md")])


def relative(path: Path) -> str:
    """The id of a test about this page."""
    return str(path.relative_to(ROOT))


def links(page: Path) -> Iterator[str]:
    """The targets of the page's links that are not web addresses."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DRAW["PAGES"])
def test_what_is_drawn_from_the_code_is_up_to_date(page: str) -> None:
    """The lifecycle diagram and the settings table are those of the code; `python docs/draw.py` makes them so."""
    assert (ROOT / "docs" / page).read_text() == DRAW["drawn"](page)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file that exists, and a heading in it if it names one."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_file_a_page_names_is_there(page: Path) -> None:
    """A path in code type that looks like one of this repository's exists, so a renamed file is renamed here too."""
    places = r"(?:pathfinder|workers|api|tests|docs|packaging|compose)/"
    for name in re.findall(rf"`({places}[\w./@-]*)`", page.read_text()):
        assert "NAME" in name or (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    """Whoever copies `make …` from a page gets what it promises."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^\$ |^)make ([a-z0-9-]+)", page.read_text(), flags=re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("word", [*Status, *Command, *Report, *Kind, *Exchange, *(queue.name for queue in SHARED)])
def test_every_word_of_the_protocol_is_documented(word: str) -> None:
    """Statuses, commands, reports, kinds of event, exchanges and queues each stand in some page."""
    text = "\n".join(page.read_text() for page in PAGES)

    assert re.search(rf"\b{re.escape(word)}\b", text)


def test_every_route_is_in_the_reference() -> None:
    """docs/reference/api.md lists the routes of the OpenAPI document, and no others."""
    shared = Process(Settings())
    routes = create_app(shared, Tail(shared)).openapi()["paths"].keys()
    rows = re.findall(r"^\| (`/.*?) \|", (ROOT / "docs/reference/api.md").read_text(), flags=re.MULTILINE)

    assert {route for row in rows for route in re.findall(r"`([^`]+)`", row)} == set(routes)


def test_every_metric_is_in_the_reference() -> None:
    """docs/reference/metrics.md lists the metrics of pathfinder/telemetry.py, with their types and labels."""
    kept = {
        f"{metric._name}{_ENDINGS.get(metric._type, '')}": (metric._type, ", ".join(metric._labelnames))
        for metric in vars(telemetry).values()
        if isinstance(metric, MetricWrapperBase)
    }
    kept["pathfinder_build_info"] = ("info", "version")
    rows = re.findall(
        r"^\| `(pathfinder_\w+)` \| (\w+) \| (.*?)\|", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE
    )

    assert {name: (kind, labels.strip()) for name, kind, labels in rows} == kept


def test_every_page_can_be_reached_from_the_index() -> None:
    """No page is lost: following links from docs/index.md leads to each."""
    reached, waiting = set(), [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if link[0] != "#"]

    assert {page for page in PAGES if "docs" in page.parts} <= reached
