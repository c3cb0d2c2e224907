/** The fleet as it was: the log of a span, played forwards from what must have been at its beginning. */
import { get } from "../api/client";
import type { Event, Page } from "../api/types";
import { fleetBefore } from "./before";
import { type Fleet, apply } from "./fleet";

/** So many events are read at most; where a span has more, it begins later. */
const MOST_PAGES = 60;
/** Between two of these places the log is played again for each moment that is looked at. */
const APART = 1_000;

export class Past {
  private readonly marks: { after: number; fleet: Fleet }[];
  private readonly times: number[];

  constructor(now: Fleet, readonly events: readonly Event[], readonly since: number, readonly until: number) {
    this.times = events.map((one) => Date.parse(one.at));
    const fleet = fleetBefore(now, events);
    this.marks = [{ after: 0, fleet: copy(fleet) }];
    events.forEach((event, place) => {
      apply(fleet, event);
      if ((place + 1) % APART === 0) this.marks.push({ after: place + 1, fleet: copy(fleet) });
    });
  }

  /** The fleet at a moment, and how many of the events had happened. */
  at(moment: number): { fleet: Fleet; count: number } {
    const count = countUntil(this.times, moment);
    const mark = this.marks[Math.min(this.marks.length - 1, Math.floor(count / APART))] as { after: number; fleet: Fleet };
    const fleet = copy(mark.fleet);
    for (const event of this.events.slice(mark.after, count)) apply(fleet, event);
    return { fleet, count };
  }
}

/** Read a span of the log that ends now; the newest of it, where it is too long. */
export async function readPast(now: Fleet, cluster: string, spanMs: number, stop: AbortSignal, tell: (read: number) => void): Promise<Past> {
  const until = Date.now();
  const since = until - spanMs;
  let events: Event[] = [];
  let cursor: string | null | undefined = "0";
  for (let page = 0; cursor && page < MOST_PAGES; page += 1) {
    const part: Page<Event> = await get("/events", {
      cluster, kind: ["container.", "node."], since: new Date(since).toISOString(), limit: 1000, cursor,
    }, stop);
    events = [...events, ...part.items.filter((one) => one.kind !== "container.progress")];
    cursor = part.next_cursor;
    tell(events.length);
  }
  if (cursor) throw new Error("More happened in this span than can be shown. Choose a shorter one.");
  return new Past(now, events, since, until);
}

const copy = (of: Fleet): Fleet => ({
  nodes: new Map(of.nodes), containers: new Map(of.containers), claims: new Map(of.claims), stale: new Set(),
});

/** How many of the ascending `times` are not after `moment`. */
function countUntil(times: readonly number[], moment: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}
