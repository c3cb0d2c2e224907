/** One node: how full it is, what is on it, and what happened there. */
import type { JSX } from "preact";
import { segment } from "../api/client";
import { mayAct } from "../api/session";
import { bytes, cpu, moment, percent, plural, share, span } from "../format";
import { containerList, current, ready } from "../live/live";
import type { LiveNode } from "../live/fleet";
import { go } from "../router";
import { askCordon, askForget, askUncordon } from "../ui/asking";
import { Icon } from "../ui/icon";
import { Card, Facts, Head, Labels, Meter, NodeBadge, Simulated, Skeleton, State } from "../ui/parts";
import { Timeline } from "../ui/timeline";
import { UsageCard } from "../ui/usage";
import { ContainerTable } from "./containers";

export function NodePage({ name = "" }: Record<string, string>): JSX.Element {
  const node = current().nodes.get(name);
  const crumb = <a href="/nodes">Nodes</a>;
  if (!node) {
    return (
      <>
        <Head title={<span class="mono">{name}</span>} crumb={crumb} />
        {ready.value ? <Card><State icon="empty" title="There is no such node">It was forgotten, or belongs to another cluster.</State></Card> : <Skeleton />}
      </>
    );
  }
  const here = containerList.value.filter((one) => one.node === name);
  return (
    <>
      <Head
        crumb={crumb}
        title={<span class="row"><span class="mono">{name}</span><Simulated when={node.simulated} /></span>}
        under={<span class="row"><NodeBadge node={node} />{node.down_at && node.status !== "READY" && <span class="small">for {span(Date.now() - Date.parse(node.down_at))}</span>}</span>}
        actions={mayAct.value && <Actions node={node} holding={here.length} />}
      />
      {node.aside_reason && <div class="callout" data-tone="wait"><Icon name="warning" /><span class="wrap">Set aside until {node.aside_until && moment(node.aside_until)}: {node.aside_reason}</span></div>}
      <UsageCard node path={node.status === "READY" ? `/nodes/${segment(name)}/usage/stream` : null} of={name} bounds={node.capacity} />
      <div class="grid">
        <div class="w5 stack">
          <Card title="Promised"><Promised node={node} /></Card>
          <Card title="Facts"><NodeFacts node={node} /></Card>
        </div>
        <Card class="w7" title="What happened there"><Timeline of="node" name={name} /></Card>
      </div>
      <h2 class="section">{plural(here.length, "container")} here</h2>
      <ContainerTable of={here} empty={<State icon="containers" title="Nothing runs here" />} />
    </>
  );
}

function Actions({ node, holding }: { node: LiveNode; holding: number }): JSX.Element {
  return (
    <>
      {node.schedulable
        ? <button class="button" onClick={() => askCordon([node], holding)}><Icon name="stop" /> Cordon</button>
        : <button class="button" onClick={() => askUncordon([node])}><Icon name="open" /> Uncordon</button>}
      {holding === 0 && <button class="button danger" onClick={() => askForget(node, () => go("/nodes"))}><Icon name="trash" /> Forget</button>}
    </>
  );
}

function Promised({ node }: { node: LiveNode }): JSX.Element {
  const claim = current().claims.get(node.hostname);
  const used = node.usage;
  const lines = [
    ["CPU", claim?.cpu_millicores ?? 0, node.capacity.cpu_millicores, cpu, " cores"],
    ["Memory", claim?.memory_bytes ?? 0, node.capacity.memory_bytes, bytes, ""],
    ["Disk", claim?.disk_bytes ?? 0, node.capacity.disk_bytes, bytes, ""],
  ] as const;
  return (
    <div class="stack">
      {lines.map(([name, part, whole, write, unit]) => (
        <Meter key={name} name={name} share={share(part, whole)} tone={share(part, whole) > 0.95 ? "bad" : "busy"}
          said={`${write(part)} of ${write(whole)}${unit} · ${percent(share(part, whole))}`} />
      ))}
      {used["load_1m"] !== undefined && (
        <p class="muted small num">Load {used["load_1m"]?.toFixed(2)}, {used["load_5m"]?.toFixed(2)}, {used["load_15m"]?.toFixed(2)}; memory in use {bytes(used["memory_used_bytes"] ?? 0)}, disk {bytes(used["disk_used_bytes"] ?? 0)}</p>
      )}
    </div>
  );
}

function NodeFacts({ node }: { node: LiveNode }): JSX.Element {
  return (
    <Facts of={[
      ["Address", <span class="mono">{node.ipaddress}</span>],
      ["Labels", Object.keys(node.labels).length ? <Labels of={node.labels} /> : null],
      ["Taints", node.taints?.length ? <span class="chips">{node.taints.map((one) => <span class="chip mono" key={one}>{one}</span>)}</span> : null],
      ["Pool", node.pool !== "default" ? node.pool : null],
      ["Runtime", `${node.runtime} ${node.runtime_version}`],
      ["Architecture", node.architecture],
      ["Storage", node.pool_driver],
      ["Agent", node.agent_version],
      ["At most", node.max_containers != null ? plural(node.max_containers, "container") : null],
      ["Overcommit", Object.entries(node.overcommit ?? {}).map(([name, ratio]) => `${name} ×${ratio}`).join(", ")],
      ["Images", node.images?.length ? node.images.join(", ") : null],
      ["Fenced", node.fenced_at ? moment(node.fenced_at) : null],
      ["Joined", moment(node.created_at)],
    ]} />
  );
}
