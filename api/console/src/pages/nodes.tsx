/** All nodes of the cluster. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { mayAct } from "../api/session";
import { bytes, cpu, percent, plural, share } from "../format";
import { current, nodeList, ready } from "../live/live";
import type { LiveNode } from "../live/fleet";
import { ask, query } from "../router";
import { askCordon, askUncordon } from "../ui/asking";
import { SearchBox, fits } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Bar, Head, Labels, NodeBadge, Skeleton, State, Tagged } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { type Tone, nodeTone, nodeWord } from "../words";

const claimed = (node: LiveNode, part: "cpu_millicores" | "memory_bytes"): number =>
  share(current().claims.get(node.hostname)?.[part] ?? 0, node.capacity[part]);

const filling = (value: number): Tone => (value > 0.95 ? "bad" : value > 0.8 ? "wait" : "busy");

function Filled({ node, part, said }: { node: LiveNode; part: "cpu_millicores" | "memory_bytes"; said: string }): JSX.Element {
  const value = claimed(node, part);
  return (
    <span class="filled" title={said}>
      <Bar share={value} tone={filling(value)} thin label={`${percent(value)} of ${said}`} />
      <span class="num small">{percent(value)}</span>
    </span>
  );
}

const COLUMNS: readonly Column<LiveNode>[] = [
  {
    name: "Name", by: (one) => one.hostname, width: "20%",
    cell: (one) => (
      <Tagged simulated={one.simulated}><a class="name mono" href={`/nodes/${encodeURIComponent(one.hostname)}`}>{one.hostname}</a></Tagged>
    ),
  },
  { name: "Status", by: nodeWord, width: "8.5rem", cell: (one) => <NodeBadge node={one} /> },
  { name: "Containers", by: (one) => current().claims.get(one.hostname)?.containers ?? 0, width: "7rem", wide: true, cell: (one) => <span class="num">{current().claims.get(one.hostname)?.containers ?? 0}</span> },
  { name: "CPU", by: (one) => claimed(one, "cpu_millicores"), cell: (one) => <Filled node={one} part="cpu_millicores" said={`${cpu(one.capacity.cpu_millicores)} cores`} /> },
  { name: "Memory", by: (one) => claimed(one, "memory_bytes"), cell: (one) => <Filled node={one} part="memory_bytes" said={bytes(one.capacity.memory_bytes)} />, wide: true },
  { name: "Size", by: (one) => one.capacity.memory_bytes, wide: true, width: "10rem", cell: (one) => <span class="muted small num">{cpu(one.capacity.cpu_millicores)} cores, {bytes(one.capacity.memory_bytes)}</span> },
  { name: "Labels", wide: true, cell: (one) => <span class="oneline"><Labels of={one.labels} /></span> },
];

export function Nodes(): JSX.Element {
  const search = query.value.get("q") ?? "";
  const word = query.value.get("is");
  const found = nodeList.value.filter((one) => fits(search, [one.hostname, one.ipaddress, one.pool], one.labels));
  const shown = word ? found.filter((one) => nodeWord(one) === word) : found;
  return (
    <>
      <Head title="Nodes" />
      <SearchBox label="Name, address, pool, or label=value"><WordChoice of={found} now={word} /></SearchBox>
      {!ready.value ? <Skeleton rows={8} /> : <NodeTable of={shown} searching={!!(search || word)} />}
    </>
  );
}

function NodeTable({ of, searching }: { of: readonly LiveNode[]; searching: boolean }): JSX.Element {
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const picked = of.filter((one) => chosen.value.has(one.hostname));
  const closed = picked.filter((one) => !one.schedulable || one.aside_until);
  const opened = picked.filter((one) => one.schedulable);
  const holding = opened.reduce((sum, one) => sum + (current().claims.get(one.hostname)?.containers ?? 0), 0);
  const clear = (): void => void (chosen.value = new Set());
  const empty = searching ? <State icon="search" title="No node is like that" /> : (
    <State icon="nodes" title="No node yet">A machine joins with a join token: <code>pathfinder token create --role join</code>.</State>
  );
  return (
    <>
      <Table label="Nodes" rows={of} columns={COLUMNS} id={(one) => one.hostname} name={(one) => one.hostname} empty={empty}
        {...(mayAct.value && { chosen })} />
      {picked.length > 0 && (
        <div class="picked" role="region" aria-label="What to do with those chosen">
          <span class="strong">{plural(picked.length, "node")}</span>
          <button class="button" disabled={!opened.length} onClick={() => askCordon(opened, holding, clear)}><Icon name="stop" /> Cordon</button>
          <button class="button" disabled={!closed.length} onClick={() => askUncordon(closed, clear)}><Icon name="open" /> Uncordon</button>
          <button class="button quiet" onClick={clear}>Clear</button>
        </div>
      )}
    </>
  );
}

function WordChoice({ of, now }: { of: readonly LiveNode[]; now: string | null }): JSX.Element {
  const words = new Map<string, { tone: Tone; count: number }>();
  for (const one of of) {
    const known = words.get(nodeWord(one));
    words.set(nodeWord(one), { tone: nodeTone(one), count: (known?.count ?? 0) + 1 });
  }
  return (
    <div class="row" role="group" aria-label="By status">
      {[...words].map(([word, { tone, count }]) => (
        <button class={`button choice ${word === now ? "lit" : ""}`} data-tone={tone} key={word} aria-pressed={word === now}
          onClick={() => ask({ is: word === now ? null : word })}>
          <span class="dot" />{word} <span class="muted num">{count}</span>
        </button>
      ))}
    </div>
  );
}
