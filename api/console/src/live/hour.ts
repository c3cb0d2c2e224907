/** The last hour, from the event log and then from the stream. */
import { effect, signal } from "@preact/signals";
import { get } from "../api/client";
import type { Event, Page } from "../api/types";
import { Buckets } from "./buckets";
import { cluster, onEvent, ready } from "./live";

export const SPAN_SECONDS = 3600;
export const STEP_SECONDS = 20;

/** So many events of the past are read at most; where there were more, the picture begins later. */
const MOST_PAGES = 40;

export const hour = signal<{ buckets: Buckets; since: number } | null>(null);

let loading: Event[] | null = null;

effect(() => {
  if (ready.value) void load(cluster.value);
  else hour.value = null;
});

onEvent((event) => {
  if (loading) loading.push(event);
  else hour.peek()?.buckets.add(event);
});

async function load(name: string): Promise<void> {
  const since = Date.now() / 1000 - SPAN_SECONDS;
  const buckets = new Buckets(STEP_SECONDS);
  const meanwhile: Event[] = [];
  loading = meanwhile;
  const seen = new Set<number>();
  try {
    let cursor = "0";
    for (let page = 0; page < MOST_PAGES && cursor; page += 1) {
      const found: Page<Event> = await get("/events", {
        cluster: name, kind: "container.", since: new Date(since * 1000).toISOString(), limit: 1000, cursor,
      });
      for (const event of found.items) { seen.add(event.seq); buckets.add(event); }
      cursor = found.next_cursor ?? "";
    }
  } catch {
    // The picture then begins now.
  }
  for (const event of meanwhile) if (!seen.has(event.seq)) buckets.add(event);
  if (loading === meanwhile) loading = null;
  if (ready.peek() && cluster.peek() === name) hour.value = { buckets, since };
}
