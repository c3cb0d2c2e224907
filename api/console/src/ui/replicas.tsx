/** The replicas of a deployment, each a square that follows it. */
import { computed } from "@preact/signals";
import type { JSX } from "preact";
import type { Deployment } from "../api/types";
import { containerList } from "../live/live";
import type { LiveContainer } from "../live/fleet";
import { type Tone, toneOf } from "../words";

/** Each replica has its deployment's name as a label. */
export const LABEL = "deployment";

const byDeployment = computed(() => {
  const found = new Map<string, LiveContainer[]>();
  for (const one of containerList.value) {
    const name = one.labels[LABEL];
    if (!name) continue;
    const known = found.get(name);
    if (known) known.push(one);
    else found.set(name, [one]);
  }
  return found;
});

export function replicasOf(name: string): LiveContainer[] {
  return [...(byDeployment.value.get(name) ?? [])].sort((a, b) => ORDER.compare(a.hostname, b.hostname));
}

const ORDER = new Intl.Collator("en", { numeric: true });

export function Squares({ of }: { of: readonly LiveContainer[] }): JSX.Element {
  const said = `${of.filter((one) => toneOf(one.status) === "good").length} of ${of.length} running`;
  return (
    <span class="squares" role="img" aria-label={said}>
      {of.slice(0, 200).map((one) => <span key={one.id} class="square" data-tone={toneOf(one.status)} title={`${one.hostname}: ${one.status}`} />)}
    </span>
  );
}

/** How a deployment is, in a word. */
export function wordOf(of: Deployment): readonly [Tone, string] {
  const phase = String(of.rollout["phase"] ?? "");
  if (of.leaving) return ["idle", "LEAVING"];
  if (phase === "failed") return ["bad", "FAILED"];
  if (of.paused) return ["wait", "PAUSED"];
  if (phase === "canary") return ["busy", "CANARY"];
  if (of.stable === of.revision && of.counts.available >= of.replicas) return ["good", "STABLE"];
  return ["busy", phase === "done" ? "SETTLING" : "ROLLING"];
}
