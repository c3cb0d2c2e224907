"""The console in a browser, against a real API: what people see, and what they may do."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PATIENCE_MS, Console, Open
from playwright.sync_api import Page, Route, expect

expect.set_options(timeout=PATIENCE_MS)

PAGES = (
    "/",
    "/fleet",
    "/nodes",
    "/nodes/node-01",
    "/containers",
    "/containers/shown-01",
    "/create",
    "/deployments",
    "/events",
)


@pytest.fixture(scope="module", autouse=True)
def shown(console: Console) -> None:
    """A container, for pages to show."""
    with console.api() as api:
        body = {"hostname": "shown-01", "cpu": 1, "memory": "256MiB", "labels": {"app": "shown"}}
        api.post("/containers", json=body).raise_for_status()


def log_in(page: Page, user: str, password: str) -> None:
    """Fill in who one is."""
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def live(page: Page) -> Page:
    """The page once it follows the stream."""
    expect(page.locator(".linkstate")).to_have_text("live")
    return page


def test_a_wrong_password_is_told_and_a_right_one_lets_in(open_page: Open) -> None:
    """Nobody is let in who is not known; who is lands on the page that was asked for, and may leave again."""
    page = open_page("/nodes", user=None)

    log_in(page, "admin", "guess")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    log_in(page, "admin", "pathfinder")

    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_where_an_identity_provider_vouches_for_people_the_login_page_leads_there(open_page: Open) -> None:
    """By a link, and by none where there is none."""
    page = open_page("/", user=None)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in with")).to_have_count(0)

    page.route("**/api/v3/sso", lambda asked: asked.fulfill(json={"title": "<b>Example</b>"}))
    page.reload()

    link = page.get_by_role("link", name="Sign in with <b>Example</b>")
    expect(link).to_have_attribute("href", "/api/v3/sso/begin")


def test_who_guesses_too_often_is_told_how_long_to_wait(open_page: Open) -> None:
    """After some wrong passwords the form is locked, and counts the seconds."""
    page = open_page("/", user=None)

    for _ in range(6):
        log_in(page, "mallory", "guess")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("button", name="Logging in…")).to_have_count(0)
        if page.get_by_role("button", name="Log in").is_disabled():
            break

    expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Try again in \d+ second"))


def test_a_container_that_is_created_reaches_provisioned_before_ones_eyes(open_page: Open) -> None:
    """The plan says where it would go; once it was asked for, its page and the map follow it without a reload."""
    fleet = live(open_page("/fleet"))
    page = live(open_page("/create"))
    tiles = fleet.get_by_role("img", name=re.compile("1 node with"))
    before = int(re.findall(r"with (\d+) container", tiles.get_attribute("aria-label") or "")[0])

    page.get_by_label("Name").fill("made-01")
    page.get_by_label("Memory").fill("256MiB")
    expect(page.get_by_text("It would go to node-01.")).to_be_visible()
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", name="made-01")).to_be_visible()
    expect(page.locator(".head .badge")).to_have_text("PROVISIONED")
    expect(page.get_by_text("Policy spread chose node-01")).to_be_visible()
    expect(tiles).to_have_accessible_name(re.compile(f"with {before + 1} container"))

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(tiles).to_have_accessible_name(re.compile(f"with {before} container"))


def test_what_is_used_is_drawn_and_goes_on(open_page: Open) -> None:
    """A container's page and its node's show four pictures, each with its newest value in words, and as a table."""
    page = live(open_page("/containers/shown-01"))

    expect(page.get_by_role("img", name="Memory: used 16 MiB")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^CPU: used 0.0010? cores"))).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("row", name=re.compile(r"16 MiB .*64 MiB")).first).to_be_visible()
    page.get_by_role("link", name="node-01").first.click()

    expect(page.get_by_role("img", name=re.compile("^Disk: used"))).to_be_visible()


def test_what_is_wrong_with_a_request_stands_at_its_field(open_page: Open) -> None:
    """The API's own words are shown where they belong, and nothing is made."""
    page = live(open_page("/create"))

    page.get_by_label("Name").fill("bad-01")
    page.get_by_label("Memory").fill("lots")

    expect(page.get_by_text("This would be refused")).to_be_visible()
    expect(page.locator("#memory-said")).to_contain_text("is not a size")


def test_names_that_contain_markup_are_shown_as_text(open_page: Open) -> None:
    """Whatever the API says is text; were it taken for a page, this script would run."""
    evil = "<img src=x onerror=\"document.title='taken'\">"

    def twisted(route: Route) -> None:
        answer = route.fetch()
        body: dict[str, Any] = answer.json()
        for one in body["items"]:
            one.update(hostname=evil, image=evil, message=evil, labels={evil: evil}, node=evil)
        route.fulfill(response=answer, json=body)

    page = open_page("/containers")
    page.route("**/api/v3/containers?*", twisted)
    page.reload()

    expect(page.get_by_text(evil).first).to_be_visible()
    page.goto("/fleet")
    live(page)
    assert "taken" not in page.title()
    assert page.locator("img[src=x]").count() == 0


def test_an_api_that_starts_anew_is_survived_with_a_notice(open_page: Open, console: Console) -> None:
    """While it is away what was seen stays, and says so; when it is back the page goes on, and missed nothing."""
    page = live(open_page("/containers"))
    supervisor = console.stack.supervisor

    supervisor.stop("control-plane")
    expect(page.get_by_role("alert")).to_contain_text("trying again")
    expect(page.get_by_role("link", name="shown-01")).to_be_visible()
    supervisor.start("control-plane")

    expect(page.get_by_role("alert")).to_have_count(0)
    with console.api() as api:
        api.post("/containers", json={"hostname": "after-01"}).raise_for_status()
    expect(page.get_by_role("row", name=re.compile("after-01")).locator(".badge")).to_have_text("PROVISIONED")


def test_a_viewer_sees_no_actions_and_the_api_refuses_them_too(open_page: Open) -> None:
    """What one may not do is not offered; who asks for it all the same is told 403."""
    page = live(open_page("/containers/shown-01", user="viewer"))

    expect(page.get_by_role("heading", name="shown-01")).to_be_visible()
    for name in ("Delete", "Reschedule", "Create", "Cordon"):
        assert page.get_by_role("button", name=name).count() == 0
    status = page.evaluate(
        """async () => {
            const session = await (await fetch("/api/v3/session")).json();
            const headers = {"X-CSRF-Token": session.csrf_token};
            return (await fetch("/api/v3/containers/shown-01", {method: "DELETE", headers})).status;
        }"""
    )
    assert status == 403


def test_the_keyboard_leads_everywhere(open_page: Open) -> None:
    """`g n` goes to the nodes, `/` into their search, Ctrl K to anything by its name, `?` tells of it."""
    page = live(open_page("/"))

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Node, container or page").fill("shown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="shown-01")).to_be_visible()


def test_a_deployment_that_is_scaled_is_followed(open_page: Open, console: Console) -> None:
    """What will happen is said before it is done; then each replica appears by itself."""
    with console.api() as api:
        body = {"name": "shop", "replicas": 1, "template": {"memory": "64MiB"}}
        api.put("/deployments/shop", json=body).raise_for_status()
    page = live(open_page("/deployments/shop"))

    page.get_by_role("button", name="Scale").click()
    page.get_by_label("Replicas").fill("3")
    expect(page.get_by_text("2 containers more will be asked for.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Scale").click()

    expect(page.get_by_role("img", name="3 of 3 running")).to_be_visible()


def test_what_is_simulated_says_so_on_a_phone_too(open_page: Open) -> None:
    """However little room there is for the name of the node."""
    page = live(open_page("/nodes", size={"width": 390, "height": 780}))
    tag = page.get_by_role("table", name="Nodes").get_by_text("SIMULATED")
    cell = tag.locator("xpath=ancestor::td")

    expect(tag).to_be_visible()
    inner, outer = ((one.bounding_box() or {}) for one in (tag, cell))
    assert outer["x"] <= inner["x"]
    assert inner["x"] + inner["width"] <= outer["x"] + outer["width"] <= 390


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(open_page: Open, theme: str) -> None:
    """Contrast, names and roles are as WCAG AA wants them, in both colours."""
    page = live(open_page("/", theme=theme))
    found = []

    for path in PAGES:
        page.goto(path)
        live(page)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("[aria-label=Loading]")).to_have_count(0)
        answer = Axe().run(page).response
        found += [
            f"{path}: {one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in answer["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    assert not found, "\n".join(found)
