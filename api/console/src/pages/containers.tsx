/** All containers of the cluster. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { mayAct } from "../api/session";
import { bytes, cpu, plural, span } from "../format";
import { containerList, ready } from "../live/live";
import type { LiveContainer } from "../live/fleet";
import { query } from "../router";
import { askRemove, askReschedule } from "../ui/asking";
import { SearchBox, ToneChoice, fits } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Head, Labels, Skeleton, State, StatusBadge, Tagged } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { RESCHEDULABLE, type Tone, toneOf } from "../words";

const COLUMNS: readonly Column<LiveContainer>[] = [
  {
    name: "Name", by: (one) => one.hostname, width: "19%",
    cell: (one) => <a class="name mono ellipsis" href={`/containers/${encodeURIComponent(one.hostname)}`}>{one.hostname}</a>,
  },
  { name: "Status", by: (one) => one.status, width: "11.5rem", cell: (one) => <StatusCell of={one} /> },
  {
    name: "Node", by: (one) => one.node ?? "", wide: true, width: "12rem",
    cell: (one) => one.node && (
      <Tagged simulated={one.simulated}><a class="mono hoverlink" href={`/nodes/${encodeURIComponent(one.node)}`}>{one.node}</a></Tagged>
    ),
  },
  { name: "Image", by: (one) => one.image, wide: true, width: "9rem", cell: (one) => <span class="mono ellipsis">{one.image}</span> },
  { name: "CPU", by: (one) => one.resources.cpu_millicores, wide: true, width: "4.5rem", cell: (one) => <span class="num">{one.resources.cpu_millicores ? cpu(one.resources.cpu_millicores) : "–"}</span> },
  { name: "Memory", by: (one) => one.resources.memory_bytes, wide: true, width: "6rem", cell: (one) => <span class="num">{one.resources.memory_bytes ? bytes(one.resources.memory_bytes) : "–"}</span> },
  { name: "Labels", wide: true, cell: (one) => <span class="oneline"><Labels of={one.labels} /></span> },
  { name: "Age", by: (one) => -Date.parse(one.created_at), width: "5rem", wide: true, cell: (one) => <span class="muted num">{span(Date.now() - Date.parse(one.created_at)).split(" ")[0]}</span> },
];

function StatusCell({ of }: { of: LiveContainer }): JSX.Element {
  return (
    <span title={of.message ?? of.progress ?? undefined}>
      <StatusBadge status={of.status} />
    </span>
  );
}

export function ContainerTable({ of, empty }: { of: readonly LiveContainer[]; empty: JSX.Element }): JSX.Element {
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const picked = of.filter((one) => chosen.value.has(one.id));
  const movable = picked.filter((one) => RESCHEDULABLE.has(one.status));
  const clear = (): void => void (chosen.value = new Set());
  return (
    <>
      <Table label="Containers" rows={of} columns={COLUMNS} id={(one) => one.id} name={(one) => one.hostname} empty={empty}
        {...(mayAct.value && { chosen })} />
      {picked.length > 0 && (
        <div class="picked" role="region" aria-label="What to do with those chosen">
          <span class="strong">{plural(picked.length, "container")}</span>
          <button class="button" disabled={!movable.length} onClick={() => askReschedule(movable, clear)}><Icon name="move" /> Reschedule</button>
          <button class="button danger" onClick={() => askRemove(picked, clear)}><Icon name="trash" /> Delete</button>
          <button class="button quiet" onClick={clear}>Clear</button>
        </div>
      )}
    </>
  );
}

export function Containers(): JSX.Element {
  const search = query.value.get("q") ?? "";
  const tone = query.value.get("is");
  const found = containerList.value.filter((one) => fits(search, [one.hostname, one.node, one.image, one.ipaddress, one.status], one.labels));
  const tones = new Map<Tone, number>();
  for (const one of found) tones.set(toneOf(one.status), (tones.get(toneOf(one.status)) ?? 0) + 1);
  const shown = tone ? found.filter((one) => toneOf(one.status) === tone) : found;
  return (
    <>
      <Head
        title="Containers"
        actions={mayAct.value && <a class="button primary" href="/create"><Icon name="plus" /> Create</a>}
      />
      <SearchBox label="Name, node, image, address, or label=value"><ToneChoice of={tones} /></SearchBox>
      {!ready.value ? <Skeleton rows={8} /> : <ContainerTable of={shown} empty={<Nothing searching={!!(search || tone)} />} />}
    </>
  );
}

function Nothing({ searching }: { searching: boolean }): JSX.Element {
  if (searching) return <State icon="search" title="No container is like that" />;
  return (
    <State icon="containers" title="No container yet">
      {mayAct.value ? <><a class="link" href="/create">Create the first one</a>, or run <code>pfi create container web-01</code>.</> : "What is created appears here by itself."}
    </State>
  );
}
