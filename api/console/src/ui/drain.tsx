/** What would happen if nodes were emptied: nothing is done. */
import type { JSX } from "preact";
import { call } from "../api/client";
import type { Plan } from "../api/types";
import { plural } from "../format";
import { cluster } from "../live/live";
import { useLoaded } from "../live/use_loaded";

export function DrainPreview({ nodes }: { nodes: readonly string[] }): JSX.Element | null {
  const plan = useLoaded(nodes.join(), (signal) =>
    call<Plan>("POST", "/plans/drain", { query: { cluster: cluster.peek() }, body: { nodes }, signal }));
  if (plan.error) return null;
  if (!plan.value) return <p class="muted small">Looking whether the others would have room…</p>;
  const { placed, waiting, staying } = plan.value;
  const parts = [
    placed.length ? `${plural(placed.length, "container")} would find room elsewhere` : "",
    waiting.length ? `${plural(waiting.length, "container")} would have to wait` : "",
    staying.length ? `${plural(staying.length, "stateful one")} would stay` : "",
  ].filter(Boolean);
  return <p class="muted small">If you emptied {nodes.length === 1 ? "it" : "them"} next: {parts.join(", ") || "nothing would move"}.</p>;
}
