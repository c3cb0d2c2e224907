/** What happened to one thing, newest first: read from the log, and then as it goes on. */
import type { JSX } from "preact";
import { get } from "../api/client";
import type { Event, Page } from "../api/types";
import { clock, moment } from "../format";
import { cluster } from "../live/live";
import { useLoaded } from "../live/use_loaded";
import { details, kindTone, kindWords } from "../words";
import { Skeleton, State } from "./parts";
import { reasonOf } from "./toast";

const SHOWN = 120;
const MOST_PAGES = 10;

/** Of a container or a node by its name, of a deployment by its id. */
export function Timeline({ of, name }: { of: "container" | "node" | "subject"; name: string }): JSX.Element {
  const log = useLoaded(
    `${of}/${name}`,
    (stop) => newest({ [of]: name }, stop),
    (event) => CONCERNS[of](event, name),
  );
  if (log.error && !log.value) return <State icon="warning" title="The log could not be read">{reasonOf(log.error)}</State>;
  if (!log.value) return <Skeleton rows={6} height={1.5} />;
  if (!log.value.length) return <State icon="clock" title="Nothing was told of it yet" />;
  return (
    <ol class="timeline">
      {[...log.value].reverse().map((one) => <Moment key={one.seq} of={one} named={of === "node"} />)}
    </ol>
  );
}

const CONCERNS: Record<"container" | "node" | "subject", (event: Event, name: string) => boolean> = {
  container: (event, name) => event.subject.type === "container" && event.subject.name === name,
  node: (event, name) => event.node === name,
  subject: (event, name) => event.subject.id === name,
};

function Moment({ of, named }: { of: Event; named: boolean }): JSX.Element {
  const said = details(of);
  return (
    <li data-tone={kindTone(of.kind)}>
      <span class="dot" />
      <div>
        <span class="strong">{named && of.subject.type === "container" && <a class="mono hoverlink" href={`/containers/${encodeURIComponent(of.subject.name)}`}>{of.subject.name} </a>}{kindWords(of.kind)}</span>
        {!named && of.node && <> <a class="mono hoverlink small" href={`/nodes/${encodeURIComponent(of.node)}`}>{of.node}</a></>}
        {said && <div class="muted small wrap">{said}</div>}
        <div class="muted tiny">{of.actor}</div>
      </div>
      <time class="muted tiny num" dateTime={of.at} title={moment(of.at)}>{clock(of.at)}</time>
    </li>
  );
}

/** The log begins with the oldest, so all of it is read, as far as that takes no eternity. */
async function newest(of: Record<string, string>, stop: AbortSignal): Promise<Event[]> {
  let found: Event[] = [];
  let cursor: string | null | undefined = "0";
  for (let page = 0; cursor && page < MOST_PAGES; page += 1) {
    const part: Page<Event> = await get("/events", { cluster: cluster.peek(), limit: 1000, cursor, ...of }, stop);
    found = [...found, ...part.items].slice(-SHOWN);
    cursor = part.next_cursor;
  }
  return found;
}
