/** How a deployment was scaled by itself: replicas and what drove them, in one picture. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { AutoscalingState } from "../api/types";
import { clock } from "../format";
import { Chart, type Series } from "../ui/chart";
import { State } from "../ui/parts";

export function Scaling({ of }: { of: AutoscalingState }): JSX.Element {
  const { at, series } = useMemo(() => picture(of), [of]);
  if (!at.length) return <State icon="clock" title="Nothing was decided yet">It has {of.replicas} replicas, as its rules say.</State>;
  return (
    <div class="stack">
      <Chart label="Replicas" kind="lines" at={at} series={series} />
      <ol class="stack small">
        {of.decisions.slice(0, 4).map((one) => (
          <li key={one.at} class="wrap">
            <span class="muted num">{clock(one.at)}</span> <b class="num">{one.before} → {one.after}</b> {one.failed ?? one.held ?? one.reason}
          </li>
        ))}
      </ol>
    </div>
  );
}

function picture(of: AutoscalingState): { at: number[]; series: Series[] } {
  const decisions = [...of.decisions].reverse();
  const names = [...new Set(decisions.flatMap((one) => (one.metrics ?? []).map((metric) => metric.name)))].slice(0, 2);
  const tones = ["wait", "lost"] as const;
  return {
    at: decisions.map((one) => Date.parse(one.at) / 1000),
    series: [
      { name: "replicas", tone: "busy", values: decisions.map((one) => one.after) },
      ...names.map((name, place): Series => ({
        name, tone: tones[place] ?? "plain", right: true,
        values: decisions.map((one) => (one.metrics ?? []).find((metric) => metric.name === name)?.value ?? null),
      })),
    ],
  };
}
