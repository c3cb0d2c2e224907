/** Back in time: any moment of a span, played forwards if one likes. */
import { type Signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { moment, plural, span } from "../format";
import type { Fleet } from "../live/fleet";
import { cluster, current } from "../live/live";
import { type Past, readPast } from "../live/past";
import { Icon } from "../ui/icon";
import { reasonOf } from "../ui/toast";
import { kindTone, kindWords } from "../words";

const SPANS = [["15 minutes", 900e3], ["1 hour", 3600e3], ["6 hours", 6 * 3600e3], ["1 day", 86400e3], ["1 week", 7 * 86400e3]] as const;
/** A whole span is played in this time. */
const PLAY_MS = 30_000;
const STEPS = 2_000;

/** What the map shows instead of the present; null: the present. */
export interface Shown {
  fleet: Fleet;
  at: number;
}

export function TimeSlider({ shown }: { shown: Signal<Shown | null> }): JSX.Element {
  const length = useSignal<number>(SPANS[1][1]);
  const past = useSignal<Past | null>(null);
  const told = useSignal("");
  const playing = useSignal(false);
  const open = useSignal(false);

  useEffect(() => {
    if (!open.value) return undefined;
    const stop = new AbortController();
    past.value = null;
    told.value = "Reading the log…";
    readPast(current(), cluster.peek(), length.value, stop.signal, (read) => (told.value = `Reading the log: ${plural(read, "event")}…`))
      .then((found) => { past.value = found; told.value = ""; look(found, found.until); })
      .catch((error: unknown) => { if (!stop.signal.aborted) told.value = reasonOf(error); });
    return () => stop.abort();
  }, [open.value, length.value]);

  function look(of: Past, at: number): void {
    shown.value = { fleet: of.at(at).fleet, at };
  }

  useEffect(() => {
    const of = past.value;
    if (!playing.value || !of) return undefined;
    const begun = performance.now();
    const from = (shown.peek()?.at ?? of.since) >= of.until - 1000 ? of.since : (shown.peek()?.at ?? of.since);
    let frame = requestAnimationFrame(function next(now) {
      const at = Math.min(of.until, from + ((now - begun) / PLAY_MS) * (of.until - of.since));
      look(of, at);
      if (at >= of.until) playing.value = false;
      else frame = requestAnimationFrame(next);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing.value, past.value]);

  function leave(): void {
    playing.value = false;
    open.value = false;
    past.value = null;
    shown.value = null;
  }

  if (!open.value) return <div class="time"><button class="button" onClick={() => (open.value = true)}><Icon name="clock" /> Back in time</button></div>;
  const of = past.value;
  const at = shown.value?.at ?? Date.now();
  return (
    <div class="time on" role="group" aria-label="Back in time">
      <button class="button icon" disabled={!of} aria-label={playing.value ? "Pause" : "Play"} onClick={() => (playing.value = !playing.value)}>
        <Icon name={playing.value ? "pause" : "play"} />
      </button>
      {of ? (
        <div class="track">
          <input type="range" min={0} max={STEPS} aria-label="Moment" aria-valuetext={moment(at)}
            value={Math.round(((at - of.since) / (of.until - of.since)) * STEPS)}
            onInput={(event) => { playing.value = false; look(of, of.since + (event.currentTarget.valueAsNumber / STEPS) * (of.until - of.since)); }} />
          <Told of={of} at={at} />
        </div>
      ) : <div class="track muted small" role="status">{told.value}</div>}
      <select class="short" aria-label="Span" value={length.value} onChange={(event) => { playing.value = false; length.value = Number(event.currentTarget.value); }}>
        {SPANS.map(([name, ms]) => <option key={name} value={ms}>{name}</option>)}
      </select>
      <button class="button primary" onClick={leave}>Live</button>
    </div>
  );
}

function Told({ of, at }: { of: Past; at: number }): JSX.Element {
  const { count } = of.at(at);
  const event = of.events[count - 1];
  return (
    <div class="row small">
      <b class="num">{moment(at)}</b>
      <span class="muted num">{span(of.until - at)} ago</span>
      {event && <span class="ellipsis" data-tone={kindTone(event.kind)}><span class="mono">{event.subject.name}</span> {kindWords(event.kind)}</span>}
    </div>
  );
}
