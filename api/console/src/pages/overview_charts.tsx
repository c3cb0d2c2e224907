/** The last hour in two pictures. */
import { computed, signal } from "@preact/signals";
import type { JSX } from "preact";
import { coarser, levels } from "../live/buckets";
import { SPAN_SECONDS, STEP_SECONDS, hour } from "../live/hour";
import { containerList } from "../live/live";
import { Chart } from "../ui/chart";
import { Skeleton } from "../ui/parts";
import { TONE_ORDER, TONE_WORDS, type Tone, toneOf } from "../words";

const MINUTE = 60;
const LEAST_SECONDS = 300;

/** The pictures move on with each event, and a new minute begins without one. */
const minute = signal(0);
setInterval(() => (minute.value += 1), 10_000);

const counted = computed(() => {
  const tones = new Map<Tone, number>();
  for (const one of containerList.value) tones.set(toneOf(one.status), (tones.get(toneOf(one.status)) ?? 0) + 1);
  return tones;
});

const picture = computed(() => {
  minute.value;
  const known = hour.value;
  const now = counted.value;
  if (!known) return null;
  const until = Date.now() / 1000;
  known.buckets.drop(until - SPAN_SECONDS - STEP_SECONDS);
  // A log that is younger than an hour is shown from its beginning.
  const since = Math.max(until - SPAN_SECONDS, Math.min(known.buckets.begin, until - LEAST_SECONDS) - MINUTE);
  const buckets = known.buckets.between(Math.floor(since / MINUTE) * MINUTE, until);
  return { at: buckets.map((one) => one.at), levels: levels(buckets, now), minutes: coarser(buckets, MINUTE / STEP_SECONDS) };
});

export function StatusChart(): JSX.Element {
  const shown = picture.value;
  if (!shown) return <Skeleton rows={1} height={13.5} />;
  const series = TONE_ORDER.map((tone) => ({
    tone, name: TONE_WORDS[tone], values: shown.levels.map((level) => level.get(tone) ?? 0),
  }));
  return <Chart label="Containers by status" kind="stacked" at={shown.at} series={series} />;
}

export function ThroughputChart(): JSX.Element {
  const shown = picture.value;
  if (!shown) return <Skeleton rows={1} height={13.5} />;
  // No bar rather than one of no height.
  const series = [
    { tone: "busy" as const, name: "placed", values: shown.minutes.map((one) => one.placed || null) },
    { tone: "bad" as const, name: "failed", values: shown.minutes.map((one) => one.failed || null) },
  ];
  return <Chart label="This minute" kind="bars" at={shown.minutes.map((one) => one.at)} series={series} />;
}
