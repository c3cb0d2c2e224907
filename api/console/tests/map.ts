import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../src/api/types";
import { type Fleet, type LiveContainer, emptyFleet, put } from "../src/live/fleet";
import { plan } from "../src/map/plan";
import { strip } from "../src/map/strip";

const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("rectangles are as large as their weights, and fill the whole", () => {
  const weights = [5, 1, 2, 8, 3, 3, 1];
  const rects = strip(weights, { x: 10, y: 20, w: 300, h: 200 });
  const scale = (300 * 200) / 23;
  rects.forEach((one, place) => near(one.w * one.h, (weights[place] ?? 0) * scale));
  near(Math.max(...rects.map((one) => one.y + one.h)), 220);
  near(Math.max(...rects.map((one) => one.x + one.w)), 310);
  near(Math.max(...strip(weights, { x: 0, y: 0, w: 9, h: 9 }, true).slice(0, 1).map((one) => one.y + one.h)), 9);
});

function fleetOf(nodes: number, containers: number): Fleet {
  const fleet = emptyFleet();
  for (let one = 0; one < nodes; one += 1) {
    const labels = { zone: "abc"[one % 3] ?? "" };
    fleet.nodes.set(`n${one}`, { hostname: `n${one}`, labels, capacity: { cpu_millicores: 8000, memory_bytes: 8 * 2 ** 30 } } as unknown as Node);
  }
  for (let one = 0; one < containers; one += 1) {
    const resources = { cpu_millicores: 100, memory_bytes: 2 ** 28, disk_bytes: 0 };
    put(fleet, { id: `c${one}`, node: one % 50 ? `n${one % nodes}` : null, status: "PROVISIONED", resources } as LiveContainer);
  }
  return fleet;
}

test("each container is in its node's tile, or waits in the tray", () => {
  const made = plan(fleetOf(12, 100), { w: 1000, h: 600 }, "memory_bytes", "zone");
  assert.deepEqual(made.groups.map((one) => one.name), ["a", "b", "c"]);
  assert.equal(made.waiting.length, 2);
  for (const { rect, containers } of made.tiles) {
    for (const { rect: inner } of containers) {
      assert.ok(inner.x >= rect.x && inner.y >= rect.y - 1e-6 && inner.x + inner.w <= rect.x + rect.w + 1e-6 && inner.y + inner.h <= rect.y + rect.h + 1e-6);
    }
  }
});

test("a fleet of 500 nodes and 10,000 containers has its places", () => {
  const fleet = fleetOf(500, 10_000);
  const made = plan(fleet, { w: 1400, h: 800 }, "cpu_millicores", "");
  assert.equal(made.tiles.length, 500);
  assert.equal(made.tiles.reduce((sum, one) => sum + one.containers.length, made.waiting.length), 10_000);
});
