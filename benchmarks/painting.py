"""How soon a browser has something to show: Debian's Chromium, logged in, on the overview."""

from playwright.async_api import async_playwright

from pathfinder.domain.access import DEVELOPMENT_PASSWORD, DEVELOPMENT_USER

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")

#: What is useful of the first page: how many there are of what.
USEFUL = ".counts .count b"
LIMIT_MS = 120_000


async def seconds(url: str) -> float:
    """From the navigation until it can be read how many containers there are; nothing is cached."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            context = await browser.new_context(base_url=url)
            given = {"username": DEVELOPMENT_USER, "password": DEVELOPMENT_PASSWORD}
            answer = await context.request.post("/api/v3/session", data=given, timeout=LIMIT_MS)
            assert answer.ok, await answer.text()
            page = await context.new_page()
            await page.goto("/", wait_until="commit", timeout=LIMIT_MS)
            await page.wait_for_selector(USEFUL, timeout=LIMIT_MS)
            return float(await page.evaluate("performance.now()")) / 1000
        finally:
            await browser.close()
