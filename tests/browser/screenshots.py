"""`make screenshots`: the console as a fleet of simulated nodes is at work, as small pictures for the documents."""

import asyncio
import io
import logging
import math
import random
import tempfile
import threading
import time
from pathlib import Path

import uvloop
from browsing import CHROMIUM, FLAGS, PATIENCE_MS, Console, console_up
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

import workers.agent
from pathfinder.bootstrap import Process, configure_logging
from pathfinder.domain.resources import Resources
from pathfinder.embedded import first_rows
from pathfinder.embedded.progress import Silent
from pathfinder.embedded.services import Services
from pathfinder.runtime.simulated import Pace, SimulatedRuntime
from pathfinder.settings import Settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
#: Cores of each node; memory is four GiB for each of them.
NODES = (32, 32, 16, 16, 16, 8, 8, 8, 32, 16, 8)
APPS = (("web", 0.5, 6, 26), ("api", 1, 8, 20), ("db", 2, 16, 7), ("cache", 0.5, 12, 10), ("worker", 1, 4, 24))
COLOURS = 256
#: Name of the picture, page, colours, and width and height.
PICTURES = (
    ("console-overview", "/", "light", (1280, 800)),
    ("console-fleet", "/fleet", "dark", (1280, 720)),
    ("console-container", "/containers/web-03", "light", (1280, 720)),
    ("console-deployment", "/deployments/shop", "dark", (1280, 720)),
    ("console-phone", "/fleet", "light", (390, 780)),
)


def main() -> None:
    """Start everything, have something to show, take the pictures."""
    logging.disable()  # at the end the agents lose their broker, which is no news
    configure_logging(Settings(log_level="error"))
    with console_up() as console, tempfile.TemporaryDirectory(prefix="pf-shots-") as directory:
        threading.Thread(target=_agents, args=(console, Path(directory)), daemon=True).start()
        _populate(console)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            for name, path, theme, size in PICTURES:
                _take(browser, console, name, path, theme, size)
            browser.close()


def _agents(console: Console, directory: Path) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_all(console, directory))


async def _all(console: Console, directory: Path) -> None:
    home = console.stack.home
    join, broker = first_rows.token(home, {}, "join"), Services(console.stack.supervisor, {}).broker(Silent())
    async with asyncio.TaskGroup() as group:
        for number, cores in enumerate(NODES, start=2):
            name = f"node-{number:02d}"
            state = directory / name
            state.mkdir()
            settings = Settings(
                node_name=name,
                node_address=f"127.90.0.{number}",
                node_labels={"zone": "abc"[number % 3]},
                state_dir=state,
                join_token=join,
                broker_url=broker,
                api_url=console.url,
                runtime="simulated",
                usage_seconds=1,
            )
            capacity = Resources(cores * 1000, cores * 4 << 30, cores * 50 << 30)
            runtime = SimulatedRuntime(name, seed=number, capacity=capacity, pace=Pace(0.5, 0.3, 0.4, 0.3, 0.5))
            process = Process(settings)
            group.create_task(workers.agent.serve(process, runtime))
            group.create_task(_work(runtime, number))


async def _work(runtime: SimulatedRuntime, seed: int) -> None:
    """What runs there has more and less to do."""
    draw = random.Random(seed)
    while True:
        for app, cpu, memory, count in APPS:
            for number in range(1, count + 1):
                share = 0.35 + 0.25 * math.sin(time.monotonic() / 9 + number) + draw.uniform(-0.1, 0.1)
                used = int(memory * (0.5 + share / 4) * (1 << 30))
                runtime.busy(f"{app}-{number:02d}", cores=cpu * share, memory_bytes=used, bytes_per_second=share * 4e6)
        await asyncio.sleep(1)


def _populate(console: Console) -> None:
    with console.api() as api:
        while sum(one["status"] == "READY" for one in api.get("/nodes").json()["items"]) <= len(NODES):
            time.sleep(0.5)
        api.patch("/nodes/node-01", json={"labels": {"zone": "b"}}).raise_for_status()
        for app, cpu, memory, count in APPS:
            kind = "STATEFUL" if app == "db" else "STATELESS"
            asked = {"cpu": cpu, "memory": f"{memory}GiB", "disk": "10GiB", "labels": {"app": app}, "type": kind}
            names = [f"{app}-{number:02d}" for number in range(1, count + 1)]
            batch = {"containers": [{"hostname": name, "image": "debian:13", **asked} for name in names]}
            api.post("/containers/batch", json=batch).raise_for_status()
            time.sleep(2)
        broken = [{"hostname": f"batch-{number}", "image": "local:broken", "memory": "2GiB"} for number in (1, 2, 3)]
        api.post("/containers/batch", json={"containers": broken}).raise_for_status()
        api.post("/nodes/node-09/cordon").raise_for_status()
        shop = {"name": "shop", "replicas": 8, "labels": {"team": "shop"}, "strategy": {"max_unavailable": 2}}
        template = {"image": "debian:13", "cpu": 1, "memory": "1GiB"}
        api.put("/deployments/shop", json={**shop, "template": template}).raise_for_status()
        while api.get("/deployments/shop").json()["counts"]["available"] < 8:
            time.sleep(0.5)
        time.sleep(6)
        api.put("/deployments/shop", json={**shop, "template": {**template, "image": "debian:14"}}).raise_for_status()


def _take(browser: Browser, console: Console, name: str, path: str, theme: str, size: tuple[int, int]) -> None:
    screen = {"width": size[0], "height": size[1]}
    context = browser.new_context(base_url=console.url, viewport=screen, color_scheme=theme)  # type: ignore[arg-type]
    context.request.post("/api/v3/session", data={"username": "admin", "password": "pathfinder"})
    page = context.new_page()
    page.goto(path)
    expect(page.locator(".linkstate")).to_have_text("live", timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)  # for what moves to arrive
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        GUIDES / f"{name}.png", optimize=True
    )
    context.close()


if __name__ == "__main__":
    main()
