import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../src/api/types";
import { apply, emptyFleet, loaded } from "../src/live/fleet";
import { told } from "./events";

const asked = told("container.requested", "PENDING", { body: { image: "tiny", cpu: 1000, memory: 1024, labels: { app: "web" } } });
const scheduled = told("container.scheduled", "SCHEDULED", { node: "node-1", generation: 1 });
const running = told("container.provisioned", "PROVISIONED", { node: "node-1", generation: 1, body: { ipaddress: "10.0.0.2" } });
const node = { hostname: "node-1", status: "READY", schedulable: true } as Node;

test("a container that was asked for is followed until it runs, from events alone", () => {
  const fleet = emptyFleet();
  for (const event of [asked, scheduled, running]) apply(fleet, event);
  const found = fleet.containers.get("c-1");
  assert.equal(found?.status, "PROVISIONED");
  assert.equal(found.node, "node-1");
  assert.equal(found.ipaddress, "10.0.0.2");
  assert.deepEqual(found.labels, { app: "web" });
  assert.equal(fleet.claims.get("node-1")?.cpu_millicores, 1000);
});

test("events that come twice change nothing more", () => {
  const fleet = emptyFleet();
  for (const event of [asked, asked, scheduled, scheduled, running, running]) apply(fleet, event);
  assert.equal(fleet.containers.size, 1);
  assert.deepEqual(fleet.claims.get("node-1"), { cpu_millicores: 1000, memory_bytes: 1024, disk_bytes: 0, containers: 1 });
});

test("what is told of a former placement does not undo the present one", () => {
  const fleet = emptyFleet();
  const again = told("container.scheduled", "SCHEDULED", { node: "node-2", generation: 2 });
  for (const event of [asked, scheduled, again, running, told("container.departed", null, { node: "node-1", generation: 1 })]) {
    apply(fleet, event);
  }
  assert.equal(fleet.containers.get("c-1")?.node, "node-2");
  assert.equal(fleet.containers.get("c-1")?.status, "SCHEDULED");
  assert.equal(fleet.claims.get("node-1")?.containers, 0);
});

test("a container that is deleted, or waits again, claims nothing any more", () => {
  const fleet = emptyFleet();
  for (const event of [asked, scheduled, told("container.provision_failed", "PENDING", { node: "node-1", generation: 1 })]) apply(fleet, event);
  assert.equal(fleet.containers.get("c-1")?.node, null);
  assert.equal(fleet.claims.get("node-1")?.containers, 0);
  apply(fleet, told("container.deleted", "DELETED", { generation: 1 }));
  assert.equal(fleet.containers.size, 0);
});

test("a node changes as it is told, and what only its row holds is asked for", () => {
  const fleet = loaded([node], []);
  const about = (kind: string): void => apply(fleet, told(kind, null, { subject: { type: "node", id: "n", name: "node-1" } }));
  about("node.cordoned");
  assert.equal(fleet.nodes.get("node-1")?.schedulable, false);
  about("node.down");
  assert.equal(fleet.nodes.get("node-1")?.status, "DOWN");
  assert.equal(fleet.stale.size, 0);
  about("node.updated");
  assert.deepEqual([...fleet.stale], ["node-1"]);
  about("node.deleted");
  assert.equal(fleet.nodes.size, 0);
});
