/** Why a container is where it is: the best nodes, each with what every scorer gave it. */
import type { JSX } from "preact";
import type { Candidate, Explanation, Plan } from "../api/types";
import { plural } from "../format";
import { Simulated } from "./parts";

type Rejections = Explanation["rejections"];

export function Placement({ of }: { of: Explanation }): JSX.Element {
  return (
    <div class="stack">
      <p class="wrap">{of.message}</p>
      <Scores candidates={of.candidates as unknown as Candidate[]} weights={of.weights ?? {}} chosen={of.node} simulated={of.simulated ?? []} />
      <Rejected of={of.rejections} />
      {(of.skipped ?? []).length > 0 && <p class="error">Left out: {of.skipped?.join("; ")}</p>}
    </div>
  );
}

/** Bars of one length for one score: each part is a scorer's, as long as its score times its weight. */
export function Scores({ candidates, weights, chosen, simulated }: {
  candidates: readonly Candidate[]; weights: Record<string, number>; chosen: string | null; simulated: readonly string[];
}): JSX.Element | null {
  if (!candidates.length) return null;
  const scorers = [...new Set(candidates.flatMap((one) => Object.keys(one.scores)))];
  const weighed = (one: Candidate, name: string): number => (one.scores[name] ?? 0) * (weights[name] ?? 1);
  const best = Math.max(...candidates.map((one) => scorers.reduce((sum, name) => sum + Math.max(0, weighed(one, name)), 0)), 1e-9);
  return (
    <div class="scores">
      <div class="legend">
        {scorers.map((name, place) => (
          <span key={name}><span class={`swatch s${place % 6}`} />{name}{weights[name] !== undefined && <span class="num"> ×{weights[name]}</span>}</span>
        ))}
      </div>
      <ol>
        {candidates.map((one) => (
          <li key={one.node} class={one.node === chosen ? "chosen" : ""}>
            <span class="who ellipsis">
              <a class="mono hoverlink" href={`/nodes/${encodeURIComponent(one.node)}`}>{one.node}</a> <Simulated when={simulated.includes(one.node)} />
            </span>
            <span class="parts" role="img" aria-label={scorers.map((name) => `${name} ${(one.scores[name] ?? 0).toFixed(3)}`).join(", ")}>
              {scorers.map((name, place) => (
                <span key={name} class={`s${place % 6}`} style={{ width: `${(Math.max(0, weighed(one, name)) / best) * 100}%` }} title={`${name}: ${(one.scores[name] ?? 0).toFixed(3)} × ${weights[name] ?? 1}`} />
              ))}
            </span>
            <span class="num">{one.score.toFixed(3)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

export function Rejected({ of }: { of: Rejections | Plan["placed"][number]["rejections"] }): JSX.Element | null {
  if (!of?.length) return null;
  return (
    <ul class="rejected">
      {of.map((one) => (
        <li key={one.filter + one.reason}>
          <span class="chip mono">{one.filter}</span>
          <span class="wrap"><b class="num">{plural(one.nodes, "node")}</b>: {one.reason}</span>
        </li>
      ))}
    </ul>
  );
}
