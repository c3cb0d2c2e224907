/** Where everything stands on the map: groups of nodes, nodes as large as they are, containers as large as they claim. Pure. */
import type { Fleet, LiveContainer, LiveNode } from "../live/fleet";
import { type Rect, inset, strip } from "./strip";

export type Measure = "memory_bytes" | "cpu_millicores";

export interface Tile {
  node: LiveNode;
  rect: Rect;
  /** Where containers are, below its name. */
  room: Rect;
  named: boolean;
  containers: Placed[];
}

export interface Placed {
  container: LiveContainer;
  rect: Rect;
}

export interface Group {
  name: string;
  rect: Rect;
}

export interface MapPlan {
  groups: Group[];
  tiles: Tile[];
  /** Those that have no node. */
  waiting: Placed[];
  tray: Rect;
}

/** A container that asked for nothing is seen all the same, and so is a small one on a large node. */
const LEAST_SHARE = 1 / 200;
const NAME_PX = 17;
const GROUP_PX = 22;
const TRAY_PX = 34;
const WAITING_PX = 14;

export function plan(fleet: Fleet, size: { w: number; h: number }, measure: Measure, by: string): MapPlan {
  const homes = new Map<string, LiveContainer[]>();
  const homeless: LiveContainer[] = [];
  for (const one of fleet.containers.values()) {
    const home = one.node && fleet.nodes.has(one.node) ? homes.get(one.node) : homeless;
    if (home) home.push(one);
    else if (one.node) homes.set(one.node, [one]);
  }
  const tray: Rect = { x: 0, y: 0, w: size.w, h: homeless.length ? TRAY_PX : 0 };
  const field: Rect = { x: 0, y: tray.h, w: size.w, h: Math.max(0, size.h - tray.h) };
  const groups: Group[] = [];
  const tiles: Tile[] = [];
  const weightOf = (node: LiveNode): number => Math.max(1, node.capacity[measure]);
  const grouped = groupsOf(fleet.nodes.values(), by, weightOf);
  const rects = strip(grouped.map(([, nodes]) => nodes.reduce((sum, one) => sum + weightOf(one), 0)), field);
  for (const [place, [name, nodes]] of grouped.entries()) {
    const rect = rects[place] as Rect;
    if (grouped.length > 1) groups.push({ name, rect });
    const inner = grouped.length > 1 ? inset(rect, 5, GROUP_PX) : rect;
    for (const [index, spot] of strip(nodes.map(weightOf), inner).entries()) {
      const node = nodes[index] as LiveNode;
      tiles.push(tile(node, inset(spot, spot.w > 40 ? 2 : 0.75), homes.get(node.hostname) ?? [], measure));
    }
  }
  return { groups, tiles, tray, waiting: waitingIn(homeless, tray) };
}

function tile(node: LiveNode, rect: Rect, containers: LiveContainer[], measure: Measure): Tile {
  const named = rect.w > 54 && rect.h > 40;
  const room = inset(rect, rect.w > 40 ? 3 : 1, named ? NAME_PX : rect.w > 40 ? 3 : 1);
  const whole = Math.max(1, node.capacity[measure]);
  const shares = containers.map((one) => Math.max(LEAST_SHARE, one.resources[measure] / whole));
  const filled = Math.min(1, shares.reduce((sum, one) => sum + one, 0));
  const used: Rect = { x: room.x, y: room.y + room.h * (1 - filled), w: room.w, h: room.h * filled };
  const rects = strip(shares, used, true);
  return { node, rect, room, named, containers: containers.map((container, place) => ({ container, rect: rects[place] as Rect })) };
}

function waitingIn(homeless: readonly LiveContainer[], tray: Rect): Placed[] {
  const left = 74;
  const step = Math.min(WAITING_PX + 3, (tray.w - left - 8) / Math.max(1, homeless.length));
  return homeless.map((container, place) => ({
    container, rect: { x: left + place * step, y: (TRAY_PX - WAITING_PX) / 2 - 2, w: Math.max(1, Math.min(WAITING_PX, step - 1)), h: WAITING_PX },
  }));
}

/** By name, and within a group the largest first: equals in a row make the best tiles. */
function groupsOf(nodes: Iterable<LiveNode>, by: string, weightOf: (node: LiveNode) => number): [string, LiveNode[]][] {
  const found = new Map<string, LiveNode[]>();
  for (const node of nodes) {
    const name = by ? (by === "pool" ? (node.pool ?? "default") : (node.labels[by] ?? "")) : "";
    const known = found.get(name);
    if (known) known.push(node);
    else found.set(name, [node]);
  }
  for (const group of found.values()) group.sort((a, b) => weightOf(b) - weightOf(a) || ORDER.compare(a.hostname, b.hostname));
  return [...found].sort(([a], [b]) => ORDER.compare(a, b));
}

const ORDER = new Intl.Collator("en", { numeric: true });
