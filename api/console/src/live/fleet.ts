/** The fleet as the console knows it, and what each event changes of it. Pure: no clock, no network, no signals. */
import type { Amounts, Container, ContainerStatus, Event, Node } from "../api/types";

/** Of a container, what events tell and tables show. */
export type LiveContainer = Pick<
  Container,
  | "id" | "hostname" | "cluster" | "image" | "type" | "status" | "node" | "simulated" | "ipaddress"
  | "generation" | "resources" | "labels" | "priority" | "message" | "created_at" | "status_at"
> & { progress: string | null };

export type LiveNode = Node;

/** What a node's containers claim together. */
export interface Claim extends Amounts {
  containers: number;
}

export interface Fleet {
  nodes: Map<string, LiveNode>;
  containers: Map<string, LiveContainer>;
  claims: Map<string, Claim>;
  /** Subjects whose rows hold more than events tell; somebody may fetch them. */
  stale: Set<string>;
}

/** Statuses in which a placement's claim on its node stands. */
const CLAIMING: ReadonlySet<ContainerStatus> = new Set([
  "SCHEDULED", "PROVISIONED", "BOOTSTRAP_STARTED", "BOOTSTRAPPED", "BOOTSTRAP_ERROR",
  "SCHEDULE_DELETION", "SCHEDULE_RELOCATION", "RELOCATE_STARTED", "RELOCATE_ERROR", "LOST",
]);
/** Whether a container in this status has a node. */
export const placedIn = (status: ContainerStatus): boolean => CLAIMING.has(status);

const NOTHING: Amounts = { cpu_millicores: 0, memory_bytes: 0, disk_bytes: 0 };

export function emptyFleet(): Fleet {
  return { nodes: new Map(), containers: new Map(), claims: new Map(), stale: new Set() };
}

export function loaded(nodes: Iterable<LiveNode>, containers: Iterable<Container>): Fleet {
  const fleet = emptyFleet();
  for (const node of nodes) fleet.nodes.set(node.hostname, node);
  for (const one of containers) put(fleet, { ...one, progress: null });
  return fleet;
}

/** Change `fleet` by what happened. Events may come twice, or tell what is known already. */
export function apply(fleet: Fleet, event: Event): void {
  if (event.subject.type === "container") applyToContainer(fleet, event);
  else if (event.subject.type === "node") applyToNode(fleet, event);
}

function applyToContainer(fleet: Fleet, event: Event): void {
  const before = fleet.containers.get(event.subject.id);
  const status = event.body["status"] as ContainerStatus | undefined;
  // A departure is about a former placement, a problem about no placement at all: they say no status.
  if (!status || (before && event.generation < before.generation)) return;
  if (status === "DELETED") {
    remove(fleet, event.subject.id);
    return;
  }
  const body = event.body;
  const known = before ?? unknown(event);
  const placed = placedIn(status);
  put(fleet, {
    ...known,
    status,
    generation: event.generation,
    node: placed ? (event.node ?? known.node) : null,
    simulated: placed ? event.simulated || known.simulated : false,
    ipaddress: placed ? (text(body["ipaddress"]) ?? (status === "SCHEDULED" ? null : known.ipaddress)) : null,
    message: messageOf(event, known.message),
    progress: event.kind === "container.progress" ? progressOf(body) : null,
    status_at: status === known.status ? known.status_at : event.at,
  });
}

/** A container nobody knew yet, as its request tells of it; whatever else is said first, it is known by name only. */
export function unknown(event: Event): LiveContainer {
  const body = event.body;
  return {
    id: event.subject.id,
    hostname: event.subject.name,
    cluster: event.cluster,
    image: text(body["image"]) ?? "",
    type: body["type"] === "STATEFUL" ? "STATEFUL" : "STATELESS",
    status: "PENDING",
    node: null,
    simulated: false,
    ipaddress: null,
    generation: event.generation,
    resources: {
      cpu_millicores: number(body["cpu"]),
      memory_bytes: number(body["memory"]),
      disk_bytes: number(body["disk"]),
    },
    labels: (body["labels"] ?? {}) as Record<string, string>,
    priority: number(body["priority"]),
    message: null,
    created_at: event.at,
    status_at: event.at,
    progress: null,
  };
}

function messageOf(event: Event, before: string | null): string | null {
  const reason = text(event.body["reason"]) ?? text(event.body["why"]);
  if (reason) return reason;
  return event.kind === "container.provisioned" || event.kind === "container.scheduled" ? null : before;
}

export function progressOf(body: Event["body"]): string {
  const percent = body["percent"];
  const stage = STAGES[text(body["stage"]) ?? ""] ?? text(body["stage"]) ?? "";
  return typeof percent === "number" ? `${stage} ${percent}%` : stage;
}

const STAGES: Record<string, string> = {
  image: "getting the image",
  create: "creating it",
  start: "starting it",
  address: "waiting for its address",
};

function applyToNode(fleet: Fleet, event: Event): void {
  const name = event.subject.name;
  const before = fleet.nodes.get(name);
  if (event.kind === "node.deleted") {
    fleet.nodes.delete(name);
    return;
  }
  // Sizes, labels and taints are in its row only.
  if (!before || ROW_CHANGES.has(event.kind)) fleet.stale.add(name);
  const change = before && NODE_CHANGES[event.kind]?.(event);
  if (before && change) fleet.nodes.set(name, { ...before, ...change });
}

const ROW_CHANGES: ReadonlySet<string> = new Set(["node.registered", "node.updated", "node.ready"]);

const NODE_CHANGES: Record<string, (event: Event) => Partial<LiveNode>> = {
  "node.registered": (event) => ({ status: text(event.body["status"]) ?? "DOWN" }),
  "node.ready": () => ({ status: "READY", down_at: null }),
  "node.down": (event) => ({ status: "DOWN", down_at: event.at }),
  "node.fenced": (event) => ({ fenced_at: event.at }),
  "node.cordoned": () => ({ schedulable: false }),
  "node.uncordoned": () => ({ schedulable: true, aside_until: null, aside_reason: null }),
  "node.set_aside": (event) => ({
    aside_until: text(event.body["until"]) ?? null,
    aside_reason: text(event.body["reason"]) ?? null,
  }),
  "node.restored": () => ({ aside_until: null, aside_reason: null, failures: 0 }),
};

/** Its place among the others stays what it was: maps keep the order of their keys. */
export function put(fleet: Fleet, container: LiveContainer): void {
  const before = fleet.containers.get(container.id);
  if (before) claim(fleet, before, -1);
  fleet.containers.set(container.id, container);
  claim(fleet, container, 1);
}

function remove(fleet: Fleet, id: string): void {
  const before = fleet.containers.get(id);
  if (!before) return;
  claim(fleet, before, -1);
  fleet.containers.delete(id);
}

function claim(fleet: Fleet, container: LiveContainer, sign: 1 | -1): void {
  if (!container.node || !placedIn(container.status)) return;
  const now = fleet.claims.get(container.node) ?? { ...NOTHING, containers: 0 };
  fleet.claims.set(container.node, {
    cpu_millicores: now.cpu_millicores + sign * container.resources.cpu_millicores,
    memory_bytes: now.memory_bytes + sign * container.resources.memory_bytes,
    disk_bytes: now.disk_bytes + sign * container.resources.disk_bytes,
    containers: now.containers + sign,
  });
}

const text = (value: unknown): string | null => (typeof value === "string" && value ? value : null);
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
