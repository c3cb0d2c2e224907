/** Where what is written would go, if it was asked for now. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { call } from "../api/client";
import type { Candidate, Plan } from "../api/types";
import { percent, plural } from "../format";
import { cluster } from "../live/live";
import type { Loaded } from "../live/use_loaded";
import { Bar, Card, State, Tagged } from "../ui/parts";
import { Rejected, Scores } from "../ui/placement";
import { reasonOf } from "../ui/toast";
import { type Draft, batchOf } from "./create_draft";

/** Whoever writes on is not interrupted by a plan for each letter. */
const PAUSE_MS = 300;

export function usePlan(draft: Draft): Loaded<Plan> {
  const found = useSignal<Loaded<Plan>>({ value: null, error: null });
  useEffect(() => {
    if (!draft.name.trim()) { found.value = { value: null, error: null }; return undefined; }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      call<Plan>("POST", "/plans/create", { query: { cluster: cluster.peek() }, body: { ...batchOf(draft), explain: true }, signal: stop.signal })
        .then((value) => (found.value = { value, error: null }))
        .catch((error: unknown) => { if (!stop.signal.aborted) found.value = { value: null, error }; });
    }, PAUSE_MS);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [draft]);
  return found.value;
}

export function PlanPreview({ plan, named }: { plan: Loaded<Plan>; named: boolean }): JSX.Element {
  if (!named) return <Card title="Plan"><State icon="fleet" title="Where would it go?">Write a name, and the plan appears here. Nothing is done before you create.</State></Card>;
  if (plan.error) return <Card title="Plan"><State icon="warning" title="This would be refused">{reasonOf(plan.error)}</State></Card>;
  if (!plan.value) return <Card title="Plan"><State icon="clock" title="Planning…" /></Card>;
  return <Planned of={plan.value} />;
}

function Planned({ of }: { of: Plan }): JSX.Element {
  const total = of.placed.length + of.waiting.length;
  const first = of.placed[0];
  return (
    <Card title="Plan" aside="nothing is done yet">
      <div class="stack" aria-live="polite">
        <div class="verdict" data-tone={of.fits ? "good" : "wait"}>
          <span class="orb" />
          <span class="strong">{of.fits ? (total === 1 ? `It would go to ${first?.node}.` : `All ${total} would find a node at once.`) : `${plural(of.waiting.length, "container")} would wait.`}</span>
        </div>
        {of.waiting[0]?.reason && <p class="muted small wrap">{of.waiting[0].reason}</p>}
        {of.preempted.length > 0 && <p class="error">{plural(of.preempted.length, "less urgent container")} would give way.</p>}
        <ul class="fillings">
          {of.nodes.slice(0, 8).map((one) => (
            <li key={one.hostname}>
              <Tagged simulated={(of.simulated ?? []).includes(one.hostname)}><span class="mono">{one.hostname}</span></Tagged>
              <span class="muted tiny">cpu</span>
              <Bar thin share={one.cpu_before} ghost={one.cpu_after} tone="busy" label={`cpu from ${percent(one.cpu_before)} to ${percent(one.cpu_after)}`} />
              <span class="muted tiny">memory</span>
              <Bar thin share={one.memory_before} ghost={one.memory_after} tone="busy" label={`memory from ${percent(one.memory_before)} to ${percent(one.memory_after)}`} />
              <span class="num small">+{one.containers_after - one.containers_before}</span>
            </li>
          ))}
        </ul>
        {of.nodes.length > 8 && <p class="muted small">and {plural(of.nodes.length - 8, "more node")}</p>}
        {first && first.candidates && first.candidates.length > 0 && (
          <>
            <h3 class="small strong">{total > 1 ? `Why ${first.node} for ${first.hostname}` : `Why ${first.node}`}</h3>
            <Scores candidates={first.candidates as unknown as Candidate[]} weights={{}} chosen={first.node} simulated={of.simulated ?? []} />
          </>
        )}
        <Rejected of={(first ?? of.waiting[0])?.rejections ?? []} />
      </div>
    </Card>
  );
}
