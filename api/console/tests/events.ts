/** Events as the API would tell them. */
import type { Event } from "../src/api/types";

let seq = 0;

export function told(kind: string, status: string | null, changes: Partial<Event> = {}): Event {
  seq += 1;
  return {
    cursor: `0-9-${seq}`, seq, at: "2026-11-28T09:00:00Z", kind, cluster: "default",
    subject: { type: "container", id: "c-1", name: "web-01" }, node: null, actor: "test", generation: 0, trace_id: "",
    simulated: false, ...changes, body: { ...(status && { status }), ...changes.body },
  };
}
