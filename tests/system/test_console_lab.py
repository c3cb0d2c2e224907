"""The console in a browser, against the lab: what is really there is what people see."""

import re
from collections.abc import AsyncIterator

import pytest
from browsing import CHROMIUM, FLAGS, PATIENCE_MS, require_console
from harness import Harness
from playwright.async_api import BrowserContext, async_playwright, expect

pytestmark = pytest.mark.lab

USER = {"name": "looker", "password": "sees-everything-there-is", "role": "operator"}
PAGES = ("/", "/fleet", "/nodes", "/nodes/node-02", "/containers", "/create", "/deployments", "/events")


@pytest.fixture
async def browser(harness: Harness) -> AsyncIterator[BrowserContext]:
    """A Chromium in which an operator is logged in; no script of the console has failed in it."""
    require_console()
    wrong: list[str] = []
    bearer = {"Authorization": f"Bearer {harness.lab.token}"}
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        context = await opened.new_context(base_url=harness.lab.api_url, viewport={"width": 1280, "height": 720})
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        assert (await context.request.post("/api/v3/users", data=USER, headers=bearer)).ok
        who = {"username": USER["name"], "password": USER["password"]}
        assert (await context.request.post("/api/v3/session", data=who)).ok
        yield context
        await context.request.delete(f"/api/v3/users/{USER['name']}", headers=bearer)
        await opened.close()
    assert not wrong


async def test_a_container_asked_for_in_the_browser_runs_before_ones_eyes(
    harness: Harness, browser: BrowserContext
) -> None:
    """Its page and the fleet map follow it to PROVISIONED without a reload; then every page is looked at once."""
    expect.set_options(timeout=PATIENCE_MS)
    fleet, page = await browser.new_page(), await browser.new_page()
    await fleet.goto("/fleet")
    tiles = fleet.get_by_role("img", name=re.compile("^3 nodes with"))
    await expect(tiles).to_have_accessible_name(re.compile("^3 nodes with 0 containers"))
    await page.goto("/create")

    await page.get_by_label("Name").fill("seen-01")
    await page.get_by_label("Memory").fill("64MiB")
    await expect(page.get_by_text("It would go to node-0")).to_be_visible()
    await page.get_by_role("button", name="Create").click()

    await expect(page.get_by_role("heading", name="seen-01")).to_be_visible()
    await expect(page.locator(".head .badge")).to_have_text("PROVISIONED")
    made = await harness.client.containers.get("seen-01")
    await expect(page.get_by_text(str(made.ipaddress), exact=True).first).to_be_visible()
    await expect(tiles).to_have_accessible_name(re.compile("^3 nodes with 1 container"))
    await expect(page.get_by_text(f"Policy spread chose {made.node}")).to_be_visible()
    for used in ("Memory: used", "CPU: used", "Network: in"):
        await expect(page.get_by_role("img", name=re.compile(rf"^{used} \d"))).to_be_visible()
    await expect(page.get_by_text("SIMULATED")).to_have_count(0)

    await page.get_by_role("link", name=str(made.node)).first.click()
    await expect(page.get_by_role("img", name=re.compile(r"^Memory: used \d"))).to_be_visible()
    await expect(page.get_by_role("link", name="seen-01").first).to_be_visible()
    for path in PAGES:
        await page.goto(path)
        await expect(page.locator(".linkstate")).to_have_text("live")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.locator("[aria-label=Loading]")).to_have_count(0)
