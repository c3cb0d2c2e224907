/** A series of what is used, as it is drawn: seconds, and a list of values for each line. */
import type { Usage } from "../api/types";

export const SPAN_SECONDS = 3600;

type Line = "cpu_cores" | "memory_bytes" | "received_bytes" | "sent_bytes" | "disk_bytes";

export type Values = readonly (number | null)[];
export type Series = { readonly at: readonly number[] } & Readonly<Record<Line, Values>>;

/** What was told before and what is told now, of the last hour. */
export function joined(before: Series | null, told: Usage): Series {
  const at = [...(before?.at ?? []), ...told.at.map((one) => Date.parse(one) / 1000)];
  const first = at.findIndex((one) => one >= (at.at(-1) ?? 0) - SPAN_SECONDS);
  const both = (line: Line): Values => [...(before?.[line] ?? []), ...told[line]].slice(Math.max(0, first));
  return {
    at: at.slice(Math.max(0, first)),
    cpu_cores: both("cpu_cores"), memory_bytes: both("memory_bytes"), disk_bytes: both("disk_bytes"),
    received_bytes: both("received_bytes"), sent_bytes: both("sent_bytes"),
  };
}

/** The places of the newest value and of one for each `seconds` before it, the newest first. */
export function spaced(at: readonly number[], seconds: number): number[] {
  const places: number[] = [];
  let due = Infinity;
  for (let place = at.length - 1; place >= 0; place -= 1) {
    const moment = at[place] ?? 0;
    if (moment > due) continue;
    places.push(place);
    due = moment - seconds;
  }
  return places;
}
