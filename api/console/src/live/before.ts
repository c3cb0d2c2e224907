/** What something must have been before it was told to be what it is now. Pure. */
import type { ContainerStatus, Event } from "../api/types";
import { type Fleet, type LiveContainer, type LiveNode, emptyFleet, placedIn, put, unknown } from "./fleet";

const BEFORE: Record<string, ContainerStatus | null> = {
  "container.requested": null,
  "container.scheduled": "PENDING",
  "container.provisioned": "SCHEDULED",
  "container.provision_failed": "SCHEDULED",
  "container.missing": "PROVISIONED",
  "container.lost": "PROVISIONED",
  "container.rescheduled": "PROVISIONED",
  "container.preempted": "PROVISIONED",
  "container.bootstrap_started": "PROVISIONED",
  "container.bootstrapped": "BOOTSTRAP_STARTED",
  "container.bootstrap_failed": "BOOTSTRAP_STARTED",
  "container.deletion_scheduled": "PROVISIONED",
  "container.deleted": "SCHEDULE_DELETION",
};

/** null: it was not there. */
export function statusBefore(event: Event): ContainerStatus | null {
  const known = BEFORE[event.kind];
  return known === undefined ? (event.body["status"] as ContainerStatus) : known;
}

const NODE_BEFORE: Record<string, Partial<LiveNode>> = {
  "node.ready": { status: "DOWN" },
  "node.down": { status: "READY" },
  "node.cordoned": { schedulable: true },
  "node.uncordoned": { schedulable: false },
  "node.set_aside": { aside_until: null },
};

/** The fleet as it was before these events, which lead to what it is now. Sizes of what is gone since are not known. */
export function fleetBefore(now: Fleet, events: readonly Event[]): Fleet {
  const first = new Map<string, Event>();
  for (const event of events) {
    const about = event.subject.type === "container" ? event.subject.id : event.subject.name;
    const tells = event.subject.type === "container" ? typeof event.body["status"] === "string" : event.kind.startsWith("node.");
    if (tells && !first.has(about)) first.set(about, event);
  }
  const found = emptyFleet();
  for (const node of now.nodes.values()) {
    const event = first.get(node.hostname);
    if (event?.kind === "node.registered" && event.at <= node.created_at) continue;
    found.nodes.set(node.hostname, { ...node, ...(event && NODE_BEFORE[event.kind]) });
  }
  for (const one of now.containers.values()) {
    const event = first.get(one.id);
    if (!event) put(found, one);
    else putBefore(found, one, event);
  }
  for (const [id, event] of first) {
    if (event.subject.type === "container" && !now.containers.has(id)) putBefore(found, unknown(event), event);
  }
  return found;
}

function putBefore(fleet: Fleet, one: LiveContainer, event: Event): void {
  const status = statusBefore(event);
  if (!status) return;
  const from = event.body["from"];
  const node = placedIn(status) ? (typeof from === "string" ? from : event.node) : null;
  put(fleet, { ...one, status, node, generation: Math.min(one.generation, event.generation), progress: null });
}
