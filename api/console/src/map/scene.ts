/** What moves on the map: each container is where it was, on its way to where it should be. */
import { type Tone, toneOf } from "../words";
import type { MapPlan, Placed } from "./plan";
import type { Rect } from "./strip";

export interface Sprite extends Rect {
  to: Rect;
  tone: Tone;
  /** 0 to 1: how much it is there; what goes fades. */
  seen: number;
  going: boolean;
  /** 1 to 0: it has just become something else. */
  glow: number;
  dim: boolean;
}

/** After this long, two thirds of the way are done. */
const PACE_MS = 130;
const GLOW_MS = 900;
const CLOSE_PX = 0.15;

export class Scene {
  readonly sprites = new Map<string, Sprite>();
  private begun = false;

  /** Take on a new plan; everything is on its way there from now on. */
  follow(plan: MapPlan, isDim: (of: Placed) => boolean, atOnce = false): void {
    const there = new Set<string>();
    const take = (placed: Placed): void => {
      there.add(placed.container.id);
      this.take(placed, isDim(placed), atOnce || !this.begun);
    };
    for (const tile of plan.tiles) tile.containers.forEach(take);
    plan.waiting.forEach(take);
    for (const [id, sprite] of this.sprites) {
      if (there.has(id)) continue;
      if (atOnce) this.sprites.delete(id);
      else sprite.going = true;
    }
    this.begun = true;
  }

  /** Go on by `ms`; whether anything still moves. */
  step(ms: number): boolean {
    const part = 1 - Math.exp(-ms / PACE_MS);
    let moving = false;
    for (const [id, one] of this.sprites) {
      const far = Math.max(Math.abs(one.to.x - one.x), Math.abs(one.to.y - one.y), Math.abs(one.to.w - one.w), Math.abs(one.to.h - one.h));
      if (far > CLOSE_PX) {
        one.x += (one.to.x - one.x) * part;
        one.y += (one.to.y - one.y) * part;
        one.w += (one.to.w - one.w) * part;
        one.h += (one.to.h - one.h) * part;
        moving = true;
      } else if (far > 0) Object.assign(one, one.to);
      const seen = one.going ? 0 : 1;
      if (one.seen !== seen) {
        one.seen = Math.abs(seen - one.seen) < 0.02 ? seen : one.seen + (seen - one.seen) * part;
        moving = true;
      }
      if (one.glow > 0) {
        one.glow = Math.max(0, one.glow - ms / GLOW_MS);
        moving = true;
      }
      if (one.going && one.seen === 0) this.sprites.delete(id);
    }
    return moving;
  }

  private take({ container, rect }: Placed, dim: boolean, atOnce: boolean): void {
    const tone = toneOf(container.status);
    const known = this.sprites.get(container.id);
    if (known) {
      if (known.tone !== tone) known.glow = 1;
      Object.assign(known, { to: rect, tone, dim, going: false });
      if (atOnce) Object.assign(known, rect, { seen: 1, glow: 0 });
      return;
    }
    const middle = { x: rect.x + rect.w / 2, y: rect.y + rect.h / 2, w: 0, h: 0 };
    this.sprites.set(container.id, {
      ...(atOnce ? rect : middle), to: rect, tone, dim, going: false, seen: atOnce ? 1 : 0, glow: atOnce ? 0 : 1,
    });
  }
}
