/** The fleet as one picture: what is where, what comes, moves and goes. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { bytes, cpu, plural } from "../format";
import { current, ready, revision } from "../live/live";
import { FleetMap, type Pointed } from "../map/fleet_map";
import type { Measure, Placed, Tile } from "../map/plan";
import { ask, go, query } from "../router";
import { SearchBox, fits } from "../ui/filters";
import { Head, NodeBadge, Simulated, Skeleton, State, StatusBadge } from "../ui/parts";
import { TONE_ORDER, TONE_WORDS } from "../words";
import { type Shown, TimeSlider } from "./time_slider";

export function FleetPage(): JSX.Element {
  const pointed = useSignal<Pointed | null>(null);
  const search = query.value.get("q") ?? "";
  const measure: Measure = query.value.get("size") === "cpu" ? "cpu_millicores" : "memory_bytes";
  const past = useSignal<Shown | null>(null);
  const fleet = past.value?.fleet ?? current();
  const keys = labelKeys();
  const by = query.value.get("by") ?? (keys.includes("zone") ? "zone" : "");

  const isDim = useMemo(() => ({ container: one }: Placed): boolean =>
    !!search && !fits(search, [one.hostname, one.node, one.image, one.status], { ...fleet.nodes.get(one.node ?? "")?.labels, ...one.labels }), [search, fleet]);
  const isNodeDim = useMemo(() => (tile: Tile): boolean =>
    !!search && !fits(search, [tile.node.hostname], tile.node.labels) && tile.containers.every(isDim), [search, isDim]);

  if (!ready.value) return <><Head title="Fleet" /><Skeleton rows={1} height={30} /></>;
  return (
    <div class="fleet">
      <Head title="Fleet" actions={<Choices keys={keys} by={by} measure={measure} />} />
      <SearchBox label="Light up: name, image, status, or label=value"><Legend /></SearchBox>
      {fleet.nodes.size === 0 ? <State icon="fleet" title="No node yet">Each node that joins appears here as a tile.</State> : (
        <div class={past.value ? "mapbox past" : "mapbox"}>
          <FleetMap
            fleet={fleet} revision={revision.value} measure={measure} by={by} isDim={isDim} isNodeDim={isNodeDim} atOnce={false}
            onPoint={(at) => (pointed.value = at?.tile || at?.placed ? at : null)}
            onOpen={open}
          />
          {pointed.value && <Tip of={pointed.value} />}
        </div>
      )}
      <TimeSlider shown={past} />
    </div>
  );
}

function open({ placed, tile }: Pointed): void {
  if (placed) go(`/containers/${encodeURIComponent(placed.container.hostname)}`);
  else if (tile) go(`/nodes/${encodeURIComponent(tile.node.hostname)}`);
}

function labelKeys(): string[] {
  const keys = new Set<string>();
  for (const node of current().nodes.values()) for (const key of Object.keys(node.labels)) keys.add(key);
  return [...keys].sort();
}

function Choices({ keys, by, measure }: { keys: readonly string[]; by: string; measure: Measure }): JSX.Element {
  return (
    <>
      <label class="row small">
        <span class="muted">Sized by</span>
        <select value={measure} class="short" onChange={(event) => ask({ size: event.currentTarget.value === "cpu_millicores" ? "cpu" : null })}>
          <option value="memory_bytes">memory</option>
          <option value="cpu_millicores">cpu</option>
        </select>
      </label>
      <label class="row small">
        <span class="muted">Grouped by</span>
        <select value={by} class="short" onChange={(event) => ask({ by: event.currentTarget.value || "-" })}>
          <option value="-">nothing</option>
          <option value="pool">pool</option>
          {keys.map((key) => <option key={key} value={key}>{key}</option>)}
        </select>
      </label>
    </>
  );
}

function Legend(): JSX.Element {
  return (
    <div class="legend">
      {TONE_ORDER.map((tone) => <span key={tone} data-tone={tone}><span class="square" />{TONE_WORDS[tone]}</span>)}
    </div>
  );
}

function Tip({ of }: { of: Pointed }): JSX.Element {
  const { placed, tile, x, y } = of;
  const style = { left: `min(${Math.round(x + 14)}px, calc(100% - 16rem))`, top: `${Math.round(y + 14)}px` };
  return (
    <div class="tip" style={style} role="status">
      {placed ? (
        <>
          <div class="strong mono wrap">{placed.container.hostname}</div>
          <div class="row"><StatusBadge status={placed.container.status} /></div>
          <div class="muted small wrap">
            {placed.container.image} · cpu {cpu(placed.container.resources.cpu_millicores)} · {bytes(placed.container.resources.memory_bytes)}
          </div>
          {placed.container.message && <div class="small wrap">{placed.container.message}</div>}
          {tile && <div class="muted small">on <span class="mono">{tile.node.hostname}</span></div>}
        </>
      ) : tile && (
        <>
          <div class="strong mono">{tile.node.hostname} <Simulated when={tile.node.simulated} /></div>
          <div class="row"><NodeBadge node={tile.node} /></div>
          <div class="muted small">{plural(tile.containers.length, "container")} · {cpu(tile.node.capacity.cpu_millicores)} cores · {bytes(tile.node.capacity.memory_bytes)}</div>
        </>
      )}
    </div>
  );
}
