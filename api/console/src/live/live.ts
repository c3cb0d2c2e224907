/** The live store: one snapshot, then every event as it happens. Views read `revision` and what it stands for. */
import { computed, signal } from "@preact/signals";
import { all, get, segment } from "../api/client";
import type { Cluster, Container, Event, Node } from "../api/types";
import { type Fleet, apply, emptyFleet, loaded } from "./fleet";
import { follow } from "./stream";

export type Link = "connecting" | "live" | "offline";

/** Grows with each change of the fleet, at most once for each picture the screen shows. */
export const revision = signal(0);
export const link = signal<Link>("connecting");
/** When the last word of a stream that broke was heard. */
export const brokenAt = signal<number | null>(null);
export const ready = signal(false);
export const cluster = signal(new URLSearchParams(location.search).get("cluster") ?? "default");
export const clusters = signal<Cluster[]>([]);
/** The newest events, oldest first. */
export const recent = signal<readonly Event[]>([]);

const RECENT = 500;
/** A tab nobody looks at gives its connection back: a browser has six of them for all tabs of a site. */
const HIDDEN_MS = 60_000;

let fleet: Fleet = emptyFleet();
let waiting: Event[] | null = null;
let fresh: Event[] = [];
let stop = new AbortController();
const listeners = new Set<(event: Event) => void>();

/** The fleet as it is. Read `revision` to be told of changes; the maps are changed in place. */
export function current(): Fleet {
  revision.value;
  return fleet;
}

export const nodeList = computed(() => [...current().nodes.values()]);
export const containerList = computed(() => [...current().containers.values()]);

/** Have each event told, until the function that is returned is called. */
export function onEvent(listener: (event: Event) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follow `name` from now on; what was followed is forgotten. */
export function start(name: string = cluster.peek()): void {
  stop.abort();
  stop = new AbortController();
  const { signal: stopped } = stop;
  cluster.value = name;
  link.value = "connecting";
  ready.value = false;
  recent.value = [];
  fleet = emptyFleet();
  revision.value += 1;
  void loadClusters();
  void follow(
    name,
    {
      onOpen: (first) => {
        if (first) void snapshot(name, stopped);
        else reached();
      },
      onEvent: take,
      onBreak: () => {
        if (link.peek() === "live") brokenAt.value = Date.now();
        link.value = "offline";
      },
    },
    stopped,
  );
}

export function halt(): void {
  stop.abort();
}

export async function loadClusters(): Promise<void> {
  clusters.value = await all<Cluster>("/clusters", {}).catch(() => clusters.peek());
}

function reached(): void {
  link.value = "live";
  brokenAt.value = null;
}

/** Events that come while the snapshot is read wait for it: it may or may not have them already. */
async function snapshot(name: string, stopped: AbortSignal): Promise<void> {
  const missed: Event[] = [];
  waiting = missed;
  for (let pause = 500; !stopped.aborted; pause *= 2) {
    try {
      const [nodes, containers] = await Promise.all([
        all<Node>("/nodes", { cluster: name }, Infinity, stopped),
        all<Container>("/containers", { cluster: name }, Infinity, stopped),
      ]);
      fleet = loaded(nodes, containers);
      for (const event of missed) apply(fleet, event);
      waiting = null;
      ready.value = true;
      revision.value += 1;
      reached();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, Math.min(pause, 5000)));
    }
  }
}

function take(event: Event): void {
  if (waiting) waiting.push(event);
  else apply(fleet, event);
  fresh.push(event);
  for (const listener of listeners) listener(event);
  if (fresh.length === 1) schedule(flush);
}

/** As soon as the screen shows a new picture; a hidden tab shows none, and goes on all the same. */
const schedule = (work: () => void): void => {
  if (document.hidden) setTimeout(work, 250);
  else requestAnimationFrame(work);
};

function flush(): void {
  recent.value = [...recent.peek(), ...fresh].slice(-RECENT);
  fresh = [];
  revision.value += 1;
  for (const name of fleet.stale) void refresh(name);
  fleet.stale.clear();
}

async function refresh(name: string): Promise<void> {
  const of = fleet;
  const node = await get<Node>(`/nodes/${segment(name)}`, { cluster: cluster.peek() }).catch(() => null);
  if (!node || of !== fleet) return;
  fleet.nodes.set(name, node);
  revision.value += 1;
}

let hiding: ReturnType<typeof setTimeout> | undefined;
let asleep = false;

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => { asleep = true; halt(); }, HIDDEN_MS);
  } else if (asleep) {
    asleep = false;
    start();
  }
});
