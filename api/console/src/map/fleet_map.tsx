/** The map of a fleet: a canvas that follows it. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { plural } from "../format";
import type { Fleet } from "../live/fleet";
import { theme } from "../theme";
import { draw, inkOf } from "./draw";
import { type MapPlan, type Measure, type Placed, type Tile, plan } from "./plan";
import { Scene } from "./scene";
import { holds } from "./strip";

export interface Pointed {
  tile: Tile | null;
  placed: Placed | null;
  x: number;
  y: number;
}

interface Props {
  fleet: Fleet;
  /** Grows with each change of the fleet, which is changed in place. */
  revision: number;
  measure: Measure;
  by: string;
  isDim: (of: Placed) => boolean;
  isNodeDim: (of: Tile) => boolean;
  /** The past is shown as it was, without a way there. */
  atOnce: boolean;
  onPoint: (at: Pointed | null) => void;
  onOpen: (at: Pointed) => void;
}

/** Where everything belongs is reckoned anew this often at most; in between it is on its way there. */
const PLAN_MS = 120;

export function FleetMap(props: Props): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const machine = useRef<Machine | null>(null);

  useEffect(() => {
    if (!canvas.current) return undefined;
    const made = new Machine(canvas.current, latest);
    machine.current = made;
    return () => made.stop();
  }, []);
  useEffect(() => machine.current?.changed(), [props.revision, props.fleet, props.measure, props.by, props.isDim]);
  useEffect(() => machine.current?.recolour(), [theme.value]);

  const { nodes, containers } = props.fleet;
  return (
    <canvas
      ref={canvas} class="map" tabIndex={0} role="img"
      aria-label={`${plural(nodes.size, "node")} with ${plural(containers.size, "container")}. Arrow keys go from node to node, Enter opens one.`}
      onPointerMove={(event) => props.onPoint(machine.current?.at(event.offsetX, event.offsetY) ?? null)}
      onPointerLeave={() => { machine.current?.mark(null, null); props.onPoint(null); }}
      onClick={(event) => { const at = machine.current?.at(event.offsetX, event.offsetY); if (at?.tile || at?.placed) props.onOpen(at); }}
      onKeyDown={(event) => {
        const at = machine.current?.byKey(event.key);
        if (!at) return;
        event.preventDefault();
        if (event.key === "Enter") props.onOpen(at);
        else props.onPoint(at);
      }}
    />
  );
}

class Machine {
  private readonly paper: CanvasRenderingContext2D;
  private readonly scene = new Scene();
  private readonly watching: ResizeObserver;
  private plan: MapPlan | null = null;
  private ink;
  private marked: { node: string | null; container: string | null } = { node: null, container: null };
  private plannedAt = 0;
  private later: ReturnType<typeof setTimeout> | undefined;
  private frame = 0;
  private drawnAt = 0;

  constructor(private readonly canvas: HTMLCanvasElement, private readonly props: { current: Props }) {
    this.paper = canvas.getContext("2d") as CanvasRenderingContext2D;
    this.ink = inkOf(canvas);
    this.watching = new ResizeObserver(() => this.resize());
    this.watching.observe(canvas);
  }

  stop(): void {
    this.watching.disconnect();
    clearTimeout(this.later);
    cancelAnimationFrame(this.frame);
  }

  changed(): void {
    this.later ??= setTimeout(() => this.replan(), Math.max(0, this.plannedAt + PLAN_MS - performance.now()));
  }

  recolour(): void {
    this.ink = inkOf(this.canvas);
    this.go();
  }

  mark(node: string | null, container: string | null): void {
    this.marked = { node, container };
    this.go();
  }

  at(x: number, y: number): Pointed {
    const waiting = this.plan?.waiting.find((one) => holds(one.rect, x, y)) ?? null;
    const tile = this.plan?.tiles.find((one) => holds(one.rect, x, y)) ?? null;
    const placed = waiting ?? tile?.containers.find((one) => holds(one.rect, x, y)) ?? null;
    this.mark(tile?.node.hostname ?? null, placed?.container.id ?? null);
    return { tile, placed, x, y };
  }

  /** Where an arrow leads from the node that is marked; Enter stays. */
  byKey(key: string): Pointed | null {
    const tiles = this.plan?.tiles ?? [];
    const now = tiles.find((one) => one.node.hostname === this.marked.node) ?? null;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (!way && key !== "Enter") return null;
    const next = !way ? now : now ? nearest(tiles, now, way[0] ?? 0, way[1] ?? 0) : (tiles[0] ?? null);
    if (!next) return null;
    this.mark(next.node.hostname, null);
    return { tile: next, placed: null, x: next.rect.x + next.rect.w / 2, y: next.rect.y + next.rect.h / 2 };
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.replan(true);
  }

  private replan(atOnce = false): void {
    this.later = undefined;
    this.plannedAt = performance.now();
    const { fleet, measure, by, isDim, atOnce: still } = this.props.current;
    this.plan = plan(fleet, { w: this.canvas.clientWidth, h: this.canvas.clientHeight }, measure, by);
    this.scene.follow(this.plan, isDim, atOnce || still);
    this.go();
  }

  private go(): void {
    if (!this.frame) this.frame = requestAnimationFrame((now) => this.picture(now, true));
  }

  private picture(now: number, first = false): void {
    const moving = this.scene.step(first ? 16 : Math.min(100, now - this.drawnAt));
    this.drawnAt = now;
    if (this.plan) {
      draw(this.paper, this.plan, this.scene, this.ink, { ...this.marked, dimNode: this.props.current.isNodeDim });
    }
    this.frame = moving ? requestAnimationFrame((next) => this.picture(next)) : 0;
  }
}

function nearest(tiles: readonly Tile[], from: Tile, dx: number, dy: number): Tile {
  const middle = (of: Tile): [number, number] => [of.rect.x + of.rect.w / 2, of.rect.y + of.rect.h / 2];
  const [x, y] = middle(from);
  let best = from;
  let least = Infinity;
  for (const one of tiles) {
    const [left, top] = middle(one);
    const along = (left - x) * dx + (top - y) * dy;
    const aside = Math.abs((left - x) * dy) + Math.abs((top - y) * dx);
    if (along > 1 && along + 2 * aside < least) [best, least] = [one, along + 2 * aside];
  }
  return best;
}
