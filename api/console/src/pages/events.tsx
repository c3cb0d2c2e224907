/** Everything that happens, as it happens. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import type { Event } from "../api/types";
import { clock, moment, plural } from "../format";
import { lately } from "../live/lately";
import { ask, query } from "../router";
import { SearchBox, fits } from "../ui/filters";
import { Icon } from "../ui/icon";
import { Card, Facts, Head, Skeleton, State } from "../ui/parts";
import { details, kindTone, kindWords } from "../words";

const SHOWN = 250;
const FAMILIES = ["container", "node", "deployment", "problem"] as const;

export function Events(): JSX.Element {
  const pausedAt = useSignal<number | null>(null);
  const all = lately.value ?? [];
  const search = query.value.get("q") ?? "";
  const family = query.value.get("kind") ?? "";
  const quiet = query.value.get("progress") !== "1";

  const seen = pausedAt.value === null ? all : all.filter((one) => one.seq <= (pausedAt.value ?? 0));
  const shown = seen.filter((one) => isIn(one, family) && !(quiet && one.kind.endsWith("progress"))
    && fits(search, [one.kind, one.subject.name, one.node, one.actor, one.trace_id, details(one)], {})).slice(-SHOWN).reverse();
  const missed = all.length - seen.length;
  return (
    <>
      <Head
        title="Events"
        under={pausedAt.value === null ? "As they happen, the newest first." : `Paused: ${plural(missed, "newer event")} ${missed === 1 ? "waits" : "wait"}.`}
        actions={
          <button class={`button ${pausedAt.value === null ? "" : "primary"}`} onClick={() => (pausedAt.value = pausedAt.value === null ? (all.at(-1)?.seq ?? 0) : null)}>
            <Icon name={pausedAt.value === null ? "pause" : "play"} /> {pausedAt.value === null ? "Pause" : "Go on"}
          </button>
        }
      />
      <SearchBox label="Name, kind, node, actor, trace id">
        <div class="row" role="group" aria-label="By family">
          {FAMILIES.map((one) => (
            <button class={`button choice ${family === one ? "lit" : ""}`} data-tone="busy" key={one} aria-pressed={family === one} onClick={() => ask({ kind: family === one ? null : one })}>{one}s</button>
          ))}
          <label class="row small muted"><input type="checkbox" checked={!quiet} onChange={() => ask({ progress: quiet ? "1" : null })} /> progress too</label>
        </div>
      </SearchBox>
      {!lately.value ? <Skeleton rows={10} height={1.75} /> : (
        <Card flush>
          {shown.length === 0 ? <State icon="events" title="Quiet">{search || family ? "Nothing like that happened lately." : "What happens appears here by itself."}</State> : (
            <div class="log" aria-live="off">{shown.map((one) => <Line key={one.seq} of={one} />)}</div>
          )}
        </Card>
      )}
    </>
  );
}

function Line({ of }: { of: Event }): JSX.Element {
  return (
    <details>
      <summary>
        <time class="muted num" title={moment(of.at)}>{clock(of.at)}</time>
        <span class="dot" data-tone={kindTone(of.kind)} />
        <span class="mono ellipsis">{of.subject.name}</span>
        <span class="ellipsis">{kindWords(of.kind)}</span>
        <span class="muted ellipsis">{details(of)}</span>
        <span class="mono muted ellipsis">{of.node}</span>
      </summary>
      <div class="inside">
        <Facts of={[
          ["Kind", <code>{of.kind}</code>],
          ["About", <Subject of={of} />],
          ["By", of.actor],
          ["When", moment(of.at)],
          ["Trace id", <code>{of.trace_id}</code>],
        ]} />
        <pre class="mono">{JSON.stringify(of.body, null, 2)}</pre>
      </div>
    </details>
  );
}

const PLACES: Record<string, string> = { container: "/containers/", node: "/nodes/", deployment: "/deployments/" };

function Subject({ of }: { of: Event }): JSX.Element {
  const place = PLACES[of.subject.type];
  return place ? <a class="link mono" href={place + encodeURIComponent(of.subject.name)}>{of.subject.name}</a> : <>{of.subject.type} {of.subject.name}</>;
}

const isIn = (event: Event, family: string): boolean =>
  !family || (family === "problem" ? !/^(container|node|deployment|cluster|policy)\./.test(event.kind) || event.body["advice"] !== undefined : event.kind.startsWith(`${family}.`));
