/** What happened, counted by the minute. Pure. */
import type { ContainerStatus, Event } from "../api/types";
import { type Tone, toneOf } from "../words";
import { statusBefore } from "./before";

export interface Bucket {
  /** Its beginning, in seconds since 1970. */
  at: number;
  placed: number;
  failed: number;
  /** By how much the number of containers of each tone changed in it. */
  change: Map<Tone, number>;
}

export class Buckets {
  readonly seconds: number;
  private readonly statuses = new Map<string, ContainerStatus | null>();
  private readonly byTime = new Map<number, Bucket>();

  constructor(seconds: number) {
    this.seconds = seconds;
  }

  add(event: Event): void {
    const status = event.body["status"] as ContainerStatus | undefined;
    if (event.subject.type !== "container" || !status) return;
    const bucket = this.at(Date.parse(event.at) / 1000);
    if (event.kind === "container.scheduled") bucket.placed += 1;
    if (event.kind === "container.provision_failed") bucket.failed += 1;
    const id = event.subject.id;
    const before = this.statuses.has(id) ? this.statuses.get(id) : statusBefore(event);
    const after = status === "DELETED" ? null : status;
    this.statuses.set(id, after);
    if (before === after) return;
    if (before) count(bucket.change, toneOf(before), -1);
    if (after) count(bucket.change, toneOf(after), 1);
  }

  /** The buckets from `since` to `until` (seconds), none left out. */
  between(since: number, until: number): Bucket[] {
    const found: Bucket[] = [];
    for (let at = this.floor(since); at <= until; at += this.seconds) found.push(this.byTime.get(at) ?? empty(at));
    return found;
  }

  /** When the first of them begins; Infinity: nothing happened. */
  get begin(): number {
    return Math.min(...this.byTime.keys());
  }

  /** Forget what is older than `since`. */
  drop(since: number): void {
    for (const at of this.byTime.keys()) if (at < since) this.byTime.delete(at);
  }

  private at(second: number): Bucket {
    const at = this.floor(second);
    let bucket = this.byTime.get(at);
    if (!bucket) this.byTime.set(at, (bucket = empty(at)));
    return bucket;
  }

  private floor(second: number): number {
    return Math.floor(second / this.seconds) * this.seconds;
  }
}

/** How many of each tone there were at the end of each bucket, reckoned backwards from how many there are now. */
export function levels(buckets: readonly Bucket[], now: ReadonlyMap<Tone, number>): Map<Tone, number>[] {
  const found: Map<Tone, number>[] = [];
  let level = new Map(now);
  for (const bucket of [...buckets].reverse()) {
    found.push(level);
    level = new Map(level);
    for (const [tone, change] of bucket.change) level.set(tone, Math.max(0, (level.get(tone) ?? 0) - change));
  }
  return found.reverse();
}

/** Several buckets as one, `many` at a time. */
export function coarser(buckets: readonly Bucket[], many: number): Bucket[] {
  const found: Bucket[] = [];
  for (const [place, one] of buckets.entries()) {
    const last = place % many ? found.at(-1) : undefined;
    if (last) Object.assign(last, { placed: last.placed + one.placed, failed: last.failed + one.failed });
    else found.push({ ...one });
  }
  return found;
}

const empty = (at: number): Bucket => ({ at, placed: 0, failed: 0, change: new Map() });
const count = (of: Map<Tone, number>, tone: Tone, by: number): void => void of.set(tone, (of.get(tone) ?? 0) + by);
