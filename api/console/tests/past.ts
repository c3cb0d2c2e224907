import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event, Node } from "../src/api/types";
import { type Fleet, apply, loaded } from "../src/live/fleet";
import { Past } from "../src/live/past";
import { told } from "./events";

const node = { hostname: "node-1", status: "READY", schedulable: true, created_at: "2026-11-28T08:00:00Z" } as Node;
const minute = (at: number): number => Date.parse("2026-11-28T09:00:00Z") + at * 60_000;
const later = (event: Event, at: number): Event => ({ ...event, at: new Date(minute(at)).toISOString() });

/** One container comes and stays, one that was there before goes, and the node is cordoned. */
const other = { type: "container", id: "c-0", name: "old-01" };
const events = [
  later(told("container.requested", "PENDING", { body: { memory: 1024 } }), 1),
  later(told("container.scheduled", "SCHEDULED", { node: "node-1", generation: 1 }), 2),
  later(told("container.deletion_scheduled", "SCHEDULE_DELETION", { subject: other, node: "node-1", generation: 1 }), 3),
  later(told("container.provisioned", "PROVISIONED", { node: "node-1", generation: 1 }), 4),
  later(told("container.deleted", "DELETED", { subject: other, node: "node-1", generation: 1 }), 5),
  later(told("node.cordoned", null, { subject: { type: "node", id: "n", name: "node-1" }, node: "node-1" }), 6),
];

function present(): Fleet {
  const fleet = loaded([node], []);
  for (const event of events) apply(fleet, event);
  return fleet;
}

test("at each moment the fleet is as it was then", () => {
  const past = new Past(present(), events, minute(0), minute(10));
  const statuses = (at: number): Record<string, string> =>
    Object.fromEntries([...past.at(minute(at)).fleet.containers.values()].map((one) => [one.hostname, one.status]));
  assert.deepEqual(statuses(0), { "old-01": "PROVISIONED" });
  assert.deepEqual(statuses(1.5), { "old-01": "PROVISIONED", "web-01": "PENDING" });
  assert.deepEqual(statuses(3.5), { "old-01": "SCHEDULE_DELETION", "web-01": "SCHEDULED" });
  assert.deepEqual(statuses(10), { "web-01": "PROVISIONED" });
  assert.equal(past.at(minute(5)).fleet.nodes.get("node-1")?.schedulable, true);
  assert.equal(past.at(minute(7)).fleet.nodes.get("node-1")?.schedulable, false);
});

test("looking back changes nothing of the present", () => {
  const now = present();
  new Past(now, events, minute(0), minute(10)).at(minute(1));
  assert.equal(now.containers.get("c-1")?.status, "PROVISIONED");
  assert.equal(now.claims.get("node-1")?.containers, 1);
});
