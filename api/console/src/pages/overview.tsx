/** How the fleet is, at a glance. */
import type { JSX } from "preact";
import { type Tone, TONE_ORDER, TONE_WORDS, kindTone, kindWords, toneOf } from "../words";
import { bytes, clock, count, cpu, percent, plural, share, span } from "../format";
import { lately } from "../live/lately";
import { containerList, current, nodeList, ready } from "../live/live";
import { status } from "../live/status";
import { Icon } from "../ui/icon";
import { Card, Head, Meter, Skeleton, State } from "../ui/parts";
import { StatusChart, ThroughputChart } from "./overview_charts";

export function Overview(): JSX.Element {
  if (!ready.value) return <><Head title="Overview" /><Skeleton /></>;
  return (
    <>
      <Head title={<Health />} />
      <div class="grid">
        <Counts />
        <Card class="w8" title="Containers" aside="the last hour"><StatusChart /></Card>
        <Attention />
        <Card class="w8" title="Placements and failures" aside="each minute"><ThroughputChart /></Card>
        <Capacity />
        <Latest />
        <Survival />
      </div>
    </>
  );
}

const HEALTH = {
  ok: ["good", "All is well"], degraded: ["wait", "Something needs attention"], down: ["bad", "New containers cannot be run"],
} as const;

function Health(): JSX.Element {
  const found = status.value;
  const [tone, words] = HEALTH[found?.health ?? "ok"];
  return (
    <span class="health" data-tone={tone}>
      <span class="orb" />
      {found ? words : "Overview"}
    </span>
  );
}

function Counts(): JSX.Element {
  const tones = new Map<Tone, number>();
  for (const one of containerList.value) tones.set(toneOf(one.status), (tones.get(toneOf(one.status)) ?? 0) + 1);
  const down = nodeList.value.filter((one) => one.status !== "READY").length;
  return (
    <div class="counts">
      <a class="card count" href="/nodes" data-tone={down ? "bad" : "good"}>
        <b class="num">{count(nodeList.value.length)}</b>
        <span>{nodeList.value.length === 1 ? "node" : "nodes"}{down ? `, ${down} down` : ""}</span>
      </a>
      {TONE_ORDER.map((tone) => {
        const number = tones.get(tone) ?? 0;
        return (
          <a class={`card count ${number ? "" : "zero"}`} href={`/containers?is=${tone}`} data-tone={tone} key={tone}>
            <b class="num">{count(number)}</b>
            <span>{TONE_WORDS[tone]}</span>
          </a>
        );
      })}
    </div>
  );
}

const SEVERITY: Record<string, Tone> = { critical: "bad", warning: "wait", info: "busy" };

function Attention(): JSX.Element {
  const found = status.value?.findings ?? [];
  return (
    <Card class="w4 attention" title="Needs attention" aside={found.length ? count(found.length) : null}>
      {found.length === 0 ? <State icon="open" title="Nothing" /> : (
        <ul class="findings">
          {found.slice(0, 12).map((one) => (
            <li key={`${one.kind}/${one.subject}`} data-tone={SEVERITY[one.severity] ?? "plain"}>
              <Icon name="warning" />
              <div>
                <div class="summary wrap" title={one.summary}>{one.summary}</div>
                <div class="muted small wrap">{one.advice}</div>
                {one.since && <div class="muted tiny">for {span(Date.now() - Date.parse(one.since))}</div>}
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Capacity(): JSX.Element {
  const fleet = current();
  const has = { cpu: 0, memory: 0, disk: 0 };
  const promised = { cpu: 0, memory: 0, disk: 0 };
  for (const node of fleet.nodes.values()) {
    if (node.status !== "READY") continue;
    const claim = fleet.claims.get(node.hostname);
    has.cpu += node.capacity.cpu_millicores;
    has.memory += node.capacity.memory_bytes;
    has.disk += node.capacity.disk_bytes;
    promised.cpu += claim?.cpu_millicores ?? 0;
    promised.memory += claim?.memory_bytes ?? 0;
    promised.disk += claim?.disk_bytes ?? 0;
  }
  const lines = [
    ["CPU", promised.cpu, has.cpu, (value: number) => `${cpu(value)}`, "cores"],
    ["Memory", promised.memory, has.memory, bytes, ""],
    ["Disk", promised.disk, has.disk, bytes, ""],
  ] as const;
  return (
    <Card class="w4" title="Promised capacity" aside="of READY nodes">
      <div class="stack">
        {lines.map(([name, part, whole, write, unit]) => (
          <Meter
            key={name} name={name} share={share(part, whole)} tone={share(part, whole) > 0.9 ? "bad" : share(part, whole) > 0.75 ? "wait" : "busy"}
            said={`${write(part)} of ${write(whole)} ${unit} · ${percent(share(part, whole))}`}
          />
        ))}
      </div>
    </Card>
  );
}

function Latest(): JSX.Element {
  const shown = (lately.value ?? []).filter((one) => one.kind !== "container.progress").slice(-9).reverse();
  return (
    <Card class="w8" title="Just now" aside={<a class="link" href="/events">All events</a>}>
      {shown.length === 0 ? <State icon="events" title="Quiet">What happens appears here by itself.</State> : (
        <ol class="feed">
          {shown.map((one) => (
            <li key={one.seq} data-tone={kindTone(one.kind)}>
              <span class="dot" />
              <span class="mono ellipsis">{one.subject.name}</span>
              <span class="ellipsis">{kindWords(one.kind)}{one.node && one.subject.type === "container" ? <span class="muted"> · {one.node}</span> : null}</span>
              <time class="muted tiny num">{clock(one.at)}</time>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}

function Survival(): JSX.Element {
  const answers = status.value?.survivability as { any_node?: Record<string, boolean>; summary?: string } | null | undefined;
  const survives = Object.values(answers?.any_node ?? {}).every(Boolean);
  return (
    <Card class="w4" title="If a node died now">
      {!answers?.any_node ? (
        <p class="muted">With one node there is nowhere else to go: what runs on it would wait for it.</p>
      ) : (
        <div class="survival" data-tone={survives ? "good" : "wait"}>
          <Icon name={survives ? "open" : "warning"} />
          <div>
            <div class="strong">{survives ? "Any one node may die" : "Some containers would wait"}</div>
            <p class="muted small">
              {survives ? `Everything stateless would find room on the other ${plural(nodeList.value.length - 1, "node")}.` : answers.summary}
            </p>
          </div>
        </div>
      )}
    </Card>
  );
}
