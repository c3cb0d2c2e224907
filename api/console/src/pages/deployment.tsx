/** One deployment: its replicas, its rollout, its revisions, and how it scales itself. */
import type { JSX } from "preact";
import { get, segment } from "../api/client";
import { mayAct } from "../api/session";
import type { AutoscalingState, Deployment, Event, Page, Revision } from "../api/types";
import { moment, share, span } from "../format";
import { cluster, current } from "../live/live";
import { useLoaded } from "../live/use_loaded";
import { Badge, Card, Facts, Head, Labels, Meter, Skeleton, State } from "../ui/parts";
import { LABEL, Squares, replicasOf, wordOf } from "../ui/replicas";
import { Timeline } from "../ui/timeline";
import { reasonOf } from "../ui/toast";
import { ContainerTable } from "./containers";
import { DeploymentActions, askUndo } from "./deployment_actions";
import { Scaling } from "./deployment_scaling";

export function DeploymentPage({ name = "" }: Record<string, string>): JSX.Element {
  const here = { cluster: cluster.value };
  const place = `/deployments/${segment(name)}`;
  const mine = (event: Event): boolean =>
    (event.subject.type === "deployment" && event.subject.name === name) || current().containers.get(event.subject.id)?.labels[LABEL] === name;
  const found = useLoaded(`deployment ${name}`, (stop) => get<Deployment>(place, here, stop), mine);
  const revisions = useLoaded(`revisions ${name}`, (stop) => get<Page<Revision>>(`${place}/revisions`, here, stop), mine);
  const scaling = useLoaded(`scaling ${name}`, (stop) => get<AutoscalingState>(`${place}/autoscaling`, here, stop), mine);
  const crumb = <a href="/deployments">Deployments</a>;
  const one = found.value;
  if (!one) {
    return (
      <>
        <Head title={<span class="mono">{name}</span>} crumb={crumb} />
        {found.error ? <Card><State icon="empty" title="It could not be read">{reasonOf(found.error)}</State></Card> : <Skeleton />}
      </>
    );
  }
  const [tone, word] = wordOf(one);
  const replicas = replicasOf(name);
  return (
    <>
      <Head
        crumb={crumb} title={<span class="mono">{name}</span>}
        under={<span class="row"><Badge tone={tone} pulse={tone === "busy"}>{word}</Badge><span class="small">revision {one.revision}, changed {span(Date.now() - Date.parse(one.changed_at))} ago</span></span>}
        actions={mayAct.value && <DeploymentActions of={one} />}
      />
      {one.message && <div class="callout" data-tone={tone}><span class="wrap">{one.message}</span></div>}
      <div class="grid">
        <div class="w5 stack">
          <Card title="Replicas"><Rollout of={one} /><div class="gapped"><Squares of={replicas} /></div></Card>
          <Card title="Facts"><DeploymentFacts of={one} /></Card>
        </div>
        <div class="w7 stack">
          {scaling.value?.rules && <Card title="Scales itself"><Scaling of={scaling.value} /></Card>}
          <Card title="Revisions"><Revisions of={revisions.value?.items ?? []} name={name} /></Card>
          <Card title="What happened"><Timeline of="subject" name={one.id} /></Card>
        </div>
      </div>
      <h2 class="section">Its containers</h2>
      <ContainerTable of={replicas} empty={<State icon="containers" title="No replica" />} />
    </>
  );
}

function Rollout({ of }: { of: Deployment }): JSX.Element {
  const { existing, available, updated } = of.counts;
  return (
    <div class="stack">
      <Meter name="Available" share={share(available, of.replicas)} tone={available >= of.replicas ? "good" : "wait"} said={`${available} of ${of.replicas}`} />
      <Meter name={`Of revision ${of.revision}`} share={share(updated, Math.max(existing, of.replicas))} tone="busy" said={`${updated} of ${Math.max(existing, of.replicas)}`} />
    </div>
  );
}

function DeploymentFacts({ of }: { of: Deployment }): JSX.Element {
  const strategy = (of.document["strategy"] ?? {}) as Record<string, unknown>;
  return (
    <Facts of={[
      ["Image", <span class="mono">{of.image ?? "the cluster's default"}</span>],
      ["Labels", Object.keys(of.labels).length ? <Labels of={of.labels} /> : null],
      ["Strategy", String(strategy["type"] ?? "")],
      ["At most away", String(strategy["max_unavailable"] ?? "")],
      ["Stay well", String(of.document["min_available_replicas"] ?? 0)],
      ["Last rolled out", of.stable === null ? "none yet" : `revision ${of.stable}`],
      ["Declared", moment(of.created_at)],
    ]} />
  );
}

function Revisions({ of, name }: { of: readonly Revision[]; name: string }): JSX.Element {
  if (!of.length) return <Skeleton rows={2} height={1.5} />;
  return (
    <ol class="revisions">
      {of.map((one) => (
        <li key={one.revision}>
          <b class="num">{one.revision}</b>
          <div>
            <span class="mono small">{String(one.template["image"] ?? "default image")}</span>
            <div class="muted tiny wrap">{[one.cause, one.actor, moment(one.created_at)].filter(Boolean).join(" · ")}</div>
          </div>
          <span class="row end">
            {one.wanted && <Badge tone="busy">wanted</Badge>}
            {one.stable && <Badge tone="good">stable</Badge>}
            {!one.wanted && mayAct.value && <button class="button" onClick={() => askUndo(name, one.revision)}>Go back</button>}
          </span>
        </li>
      ))}
    </ol>
  );
}
