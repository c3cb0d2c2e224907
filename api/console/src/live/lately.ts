/** The newest events: those of the minutes before the console was opened, and then those of the stream. */
import { computed, effect, signal } from "@preact/signals";
import { get } from "../api/client";
import type { Event, Page } from "../api/types";
import { cluster, ready, recent } from "./live";

/** The longest of these spans is read that is no more than a page. */
const SPANS = ["15m", "2m", "20s"];

const before = signal<readonly Event[] | null>(null);

/** null until the log was read. */
export const lately = computed<readonly Event[] | null>(() => {
  if (!before.value) return null;
  const first = recent.value[0]?.seq ?? Infinity;
  const seen = new Set(recent.value.map((one) => one.seq));
  return [...before.value.filter((one) => one.seq < first && !seen.has(one.seq)), ...recent.value];
});

effect(() => {
  if (ready.value) void read(cluster.value);
  else before.value = null;
});

async function read(name: string): Promise<void> {
  let found: Event[] = [];
  try {
    for (const since of SPANS) {
      const page: Page<Event> = await get("/events", { cluster: name, since, limit: 1000 });
      if (page.next_cursor) continue;
      found = page.items;
      break;
    }
  } catch {
    // Then they begin with the stream.
  }
  if (ready.peek() && cluster.peek() === name) before.value = found;
}
