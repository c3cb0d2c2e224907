/** One container: how it is, why it is where it is, and what happened to it. */
import type { JSX } from "preact";
import { ApiError, get, segment } from "../api/client";
import { mayAct } from "../api/session";
import type { Container, Event, Explanation } from "../api/types";
import { bytes, cpu, moment, span } from "../format";
import { cluster, containerList, ready } from "../live/live";
import { type Loaded, useLoaded } from "../live/use_loaded";
import { go } from "../router";
import { askRemove, askReschedule } from "../ui/asking";
import { Icon } from "../ui/icon";
import { Card, Facts, Head, Labels, Simulated, Skeleton, State, StatusBadge } from "../ui/parts";
import { Placement } from "../ui/placement";
import { Timeline } from "../ui/timeline";
import { reasonOf } from "../ui/toast";
import { UsageCard } from "../ui/usage";
import { RESCHEDULABLE, toneOf } from "../words";

export function ContainerPage({ name = "" }: Record<string, string>): JSX.Element {
  const here = { cluster: cluster.value };
  const mine = (event: Event): boolean => event.subject.type === "container" && event.subject.name === name;
  const row = useLoaded(`row ${name}`, (stop) => get<Container>(`/containers/${segment(name)}`, here, stop), mine);
  const why = useLoaded(`why ${name}`, (stop) => get<Explanation>(`/containers/${segment(name)}/explain`, here, stop), mine);
  const live = containerList.value.find((one) => one.hostname === name);
  const crumb = <a href="/containers">Containers</a>;

  if (ready.value && !live) {
    return <><Head title={<span class="mono">{name}</span>} crumb={crumb} /><Gone name={name} error={row.error} /></>;
  }
  if (!live) return <><Head title={<span class="mono">{name}</span>} crumb={crumb} /><Skeleton /></>;
  return (
    <>
      <Head
        crumb={crumb}
        title={<span class="mono">{name}</span>}
        under={<span class="row"><StatusBadge status={live.status} />{live.progress && <span class="small">{live.progress}</span>}<span class="small">for {span(Date.now() - Date.parse(live.status_at))}</span></span>}
        actions={mayAct.value && (
          <>
            <button class="button" disabled={!RESCHEDULABLE.has(live.status)} onClick={() => askReschedule([live])}><Icon name="move" /> Reschedule</button>
            <button class="button danger" disabled={live.status === "SCHEDULE_DELETION"} onClick={() => askRemove([live], () => go("/containers"))}><Icon name="trash" /> Delete</button>
          </>
        )}
      />
      {live.message && <div class="callout" data-tone={toneOf(live.status)}><Icon name="warning" /><span class="wrap">{live.message}</span></div>}
      <UsageCard path={live.node && live.ipaddress && `/containers/${segment(name)}/usage/stream`} of={`${live.node} ${live.generation}`} bounds={row.value?.limits ?? live.resources} />
      <div class="grid">
        <div class="w5 stack">
          <Card title="Facts"><ContainerFacts live={live} row={row} /></Card>
        </div>
        <div class="w7 stack">
          <Card title="Why it is there" aside={why.value?.policy && `policy ${why.value.policy}@${why.value.policy_version ?? 0}`}><Why of={why} /></Card>
          <Card title="What happened"><Timeline of="container" name={name} /></Card>
        </div>
      </div>
    </>
  );
}

function Gone({ name, error }: { name: string; error: unknown }): JSX.Element {
  const missing = !error || (error instanceof ApiError && error.status === 404);
  return (
    <div class="stack">
      <Card>
        <State icon="empty" title={missing ? "There is no such container" : "It could not be read"}>
          {missing ? "It was deleted, or never asked for. The log still knows what happened." : reasonOf(error)}
        </State>
      </Card>
      <Card title="What happened"><Timeline of="container" name={name} /></Card>
    </div>
  );
}

function Why({ of }: { of: Loaded<Explanation> }): JSX.Element {
  if (of.value) return of.value.decided_at ? <Placement of={of.value} /> : <p class="muted">{of.value.message}</p>;
  if (of.error) return <State icon="warning" title="The decision could not be read">{reasonOf(of.error)}</State>;
  return <Skeleton rows={3} height={1.5} />;
}

function ContainerFacts({ live, row }: { live: { hostname: string; node: string | null; simulated: boolean; ipaddress: string | null; image: string; type: string; resources: Container["resources"]; labels: Record<string, string>; priority: number; generation: number; created_at: string }; row: Loaded<Container> }): JSX.Element {
  const full = row.value;
  const limits = full?.limits;
  const amounts = (of: Container["resources"]): string =>
    [of.cpu_millicores && `cpu ${cpu(of.cpu_millicores)}`, of.memory_bytes && `memory ${bytes(of.memory_bytes)}`, of.disk_bytes && `disk ${bytes(of.disk_bytes)}`].filter(Boolean).join(", ");
  const beyond = limits && (["cpu_millicores", "memory_bytes", "disk_bytes"] as const).some((part) => limits[part] !== live.resources[part]);
  return (
    <Facts of={[
      ["Node", live.node && <><a class="link mono" href={`/nodes/${encodeURIComponent(live.node)}`}>{live.node}</a> <Simulated when={live.simulated} /></>],
      ["Address", live.ipaddress && <span class="mono">{live.ipaddress}</span>],
      ["Image", <span class="mono">{live.image}</span>],
      ["Type", live.type],
      ["Asked for", amounts(live.resources) || "no limits"],
      ["May use", beyond && limits ? amounts(limits) : null],
      ["Labels", Object.keys(live.labels).length ? <Labels of={live.labels} /> : null],
      ["Health", full && full.health !== "UNKNOWN" ? full.health : null],
      ["Priority", live.priority || null],
      ["Policy", full?.policy],
      ["Pool", full && full.pool !== "default" ? full.pool : null],
      ["Constraints", full?.constraints?.length ? <span class="chips">{full.constraints.map((one) => <span class="chip mono" key={one}>{one}</span>)}</span> : null],
      ["Tolerations", full?.tolerations?.length ? full.tolerations.join(", ") : null],
      ["Profiles", full?.profiles.join(", ")],
      ["Failed attempts", full?.failed_attempts ? `${full.failed_attempts} of ${full.max_attempts}` : null],
      ["Tried again", full?.retry_at ? moment(full.retry_at) : null],
      ["Placement", `number ${live.generation}`],
      ["Asked for at", moment(live.created_at)],
    ]} />
  );
}
