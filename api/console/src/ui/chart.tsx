/** A picture of numbers over time. uPlot draws it; colours are those of the page. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { theme } from "../theme";
import type { Tone } from "../words";

export interface Series {
  name: string;
  tone: Tone;
  values: readonly (number | null)[];
  /** Of another unit: it has an axis of its own, at the right. */
  right?: boolean;
}

interface Props {
  at: readonly number[];
  series: readonly Series[];
  /** One upon the other, bars beside each other's ground, lines, or lines with gaps and a ground of their own. */
  kind: "stacked" | "bars" | "lines" | "areas";
  label: string;
  /** Of bytes: the axis goes by powers of two. */
  binary?: boolean;
  /** The least that the top of the axis stands for. */
  least?: number;
  write?: (value: number) => string;
}

export function Chart(props: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const names = props.series.map((one) => one.name).join();
  const colours = theme.value;

  useEffect(() => {
    const place = box.current;
    if (!place) return undefined;
    const made = new uPlot(options(props, place), data(props), place);
    plot.current = made;
    const watching = new ResizeObserver(() => made.setSize(size(place)));
    watching.observe(place);
    return () => { watching.disconnect(); made.destroy(); plot.current = null; };
  }, [names, colours, props.kind]);

  useEffect(() => plot.current?.setData(data(props)), [props.at, props.series]);

  return (
    <figure>
      <div class="chart" ref={box} role="img" aria-label={`${props.label}: ${spoken(props)}`} />
      <figcaption class="legend">
        {props.series.map((one) => (
          <span key={one.name} data-tone={one.tone}>
            <span class="dot" />{one.name} <b class="num">{written(props, last(one))}</b>
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

/** What is younger than that is shown at the right of so long a time. */
const SHORTEST_SECONDS = 120;
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, power) => 2 ** power);
const FILLS = { bars: 0.85, stacked: 0.3, areas: 0.14 };

const last = (series: Series): number => series.values.findLast((value) => value !== null) ?? 0;
const written = (props: Props, value: number): string => (props.write ? props.write(value) : String(value));
const spoken = (props: Props): string => props.series.map((one) => `${one.name} ${written(props, last(one))}`).join(", ");
const size = (place: HTMLElement): { width: number; height: number } => ({ width: place.clientWidth, height: place.clientHeight });

/** Upon each other: each line is drawn at the sum of what is below it. */
function data({ at, series, kind }: Props): uPlot.AlignedData {
  if (kind !== "stacked") return [[...at], ...series.map((one) => [...one.values])] as uPlot.AlignedData;
  const sum = at.map(() => 0);
  const lines = series.map((one) => one.values.map((value, place) => (sum[place] = (sum[place] ?? 0) + (value ?? 0))));
  return [[...at], ...lines] as uPlot.AlignedData;
}

function options(props: Props, place: HTMLElement): uPlot.Options {
  const style = getComputedStyle(place);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
    font: `11px ${style.fontFamily}`, gap: 6,
  };
  const { series } = props;
  const bars = uPlot.paths.bars?.({ size: [0.72, 12], radius: 0.25 });
  const smooth = uPlot.paths.stepped?.({ align: 1 });
  return {
    ...size(place),
    padding: [8, props.kind === "areas" ? 14 : 4, 0, 0],
    legend: { show: false },
    cursor: { points: { show: false }, y: false, drag: { x: false, y: false } },
    scales: {
      x: { range: (_, first, last) => [Math.min(first, last - SHORTEST_SECONDS), last] },
      y: { range: (_, __, most) => [0, Math.max(props.least ?? 5, most * 1.08)] },
      right: { range: (_, __, most) => [0, (most || 1) * 1.15] },
    },
    axes: [
      { ...axis, size: 26, space: 64, values: "{HH}:{mm}", incrs: [60, 120, 300, 600, 900, 1800, 3600] },
      { ...axis, size: props.kind === "areas" ? 62 : 44, space: props.kind === "areas" ? 28 : 40, grid: { ...axis.grid }, ...(props.binary && { incrs: POWERS_OF_TWO }), values: (_, ticks) => ticks.map((tick) => written(props, tick)) },
      ...(series.some((one) => one.right) ? [{ ...axis, scale: "right", side: 1, size: 44, space: 40, grid: { show: false } } as uPlot.Axis] : []),
    ],
    series: [
      {},
      ...series.map((one): uPlot.Series => {
        const tint = colour(one.tone === "plain" ? "muted" : one.tone);
        return {
          label: one.name, stroke: tint, width: props.kind === "lines" ? 2 : props.kind === "areas" ? 1.5 : 1, scale: one.right ? "right" : "y", spanGaps: props.kind !== "areas", points: { show: false },
          ...(props.kind !== "lines" && { fill: faint(tint, FILLS[props.kind]) }),
          ...(props.kind === "bars" && bars && { paths: bars }),
          ...(props.kind === "stacked" && smooth && { paths: smooth }),
        };
      }),
    ],
    // The ground of each line ends where the next one's begins.
    ...(props.kind === "stacked" && {
      bands: series.slice(1).map((_, place): uPlot.Band => ({ series: [place + 2, place + 1] })),
    }),
  };
}

function faint(colour: string, opacity: number): string {
  return colour.replace(/^rgb\((.*)\)$/, (_, parts: string) => `rgba(${parts}, ${opacity})`);
}
