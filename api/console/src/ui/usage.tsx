/** What a container or node uses: four pictures that move on by themselves, and the same as a table. */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { bytes, clock, cores } from "../format";
import { useUsage } from "../live/usage";
import { type Series as Told, spaced } from "../live/usage_series";
import { Chart, type Series } from "./chart";
import { Card, Skeleton, State } from "./parts";

/** What it may use at most; 0 where nothing bounds it. */
export interface Bounds {
  cpu_millicores: number;
  memory_bytes: number;
  disk_bytes: number;
}

const TABLE_SECONDS = 300;
const rate = (value: number): string => `${bytes(value)}/s`;
const either = (value: number | null | undefined, write: (value: number) => string): string => (value == null ? "–" : write(value));

export function UsageCard({ path, of, bounds, node }: { path: string | null; of: string; bounds: Bounds; node?: boolean }): JSX.Element | null {
  const { series, message } = useUsage(path, of);
  if (path === null) return null;
  const shown = series && series.at.length > 0;
  return (
    <Card class="usage" title="What it uses" aside={shown ? "the last hour" : undefined}>
      {shown ? <Pictures of={series} bounds={bounds} node={node ?? false} />
        : series || message ? <State icon="clock" title="Nothing is told of its use yet">{message ?? "Its node looks every few seconds."}</State>
        : <Skeleton rows={1} height={10} />}
    </Card>
  );
}

function Pictures({ of, bounds, node }: { of: Told; bounds: Bounds; node: boolean }): JSX.Element {
  const pictures = useMemo(() => drawn(of, node), [of, node]);
  const tops = [bounds.cpu_millicores && `of ${cores(bounds.cpu_millicores / 1000)}`, bounds.memory_bytes && `of ${bytes(bounds.memory_bytes)}`, "", bounds.disk_bytes && `of ${bytes(bounds.disk_bytes)}`];
  return (
    <>
      <div class="uses">
        {pictures.map(({ name, series, write, least }, place) => (
          <section key={name}>
            <h3>{name} <span class="muted small num">{tops[place]}</span></h3>
            {series.some((one) => one.values.some((value) => value !== null))
              ? <Chart label={name} kind="areas" at={of.at} series={series} write={write} least={least} binary={write !== cores} />
              : <p class="muted small unknown">{name === "Disk" ? "Its storage pool does not count it." : "Not known yet."}</p>}
          </section>
        ))}
      </div>
      <details class="small">
        <summary class="muted">As a table</summary>
        <Table of={of} />
      </details>
    </>
  );
}

function drawn(of: Told, node: boolean): { name: string; series: Series[]; write: (value: number) => string; least: number }[] {
  return [
    { name: node ? "CPU of its containers" : "CPU", write: cores, least: 0.1, series: [{ name: "used", tone: "busy", values: of.cpu_cores }] },
    { name: "Memory", write: bytes, least: 1 << 20, series: [{ name: "used", tone: "lost", values: of.memory_bytes }] },
    {
      name: node ? "Network of its containers" : "Network", write: rate, least: 1024,
      series: [{ name: "in", tone: "good", values: of.received_bytes }, { name: "out", tone: "wait", values: of.sent_bytes }],
    },
    { name: "Disk", write: bytes, least: 1 << 20, series: [{ name: "used", tone: "idle", values: of.disk_bytes }] },
  ];
}

function Table({ of }: { of: Told }): JSX.Element {
  return (
    <div class="scroll">
      <table class="plain num">
        <thead><tr><th scope="col">At</th><th scope="col">CPU</th><th scope="col">Memory</th><th scope="col">Received</th><th scope="col">Sent</th><th scope="col">Disk</th></tr></thead>
        <tbody>
          {spaced(of.at, TABLE_SECONDS).map((place) => (
            <tr key={of.at[place]}>
              <td>{clock((of.at[place] ?? 0) * 1000)}</td>
              <td>{either(of.cpu_cores[place], cores)}</td>
              <td>{either(of.memory_bytes[place], bytes)}</td>
              <td>{either(of.received_bytes[place], rate)}</td>
              <td>{either(of.sent_bytes[place], rate)}</td>
              <td>{either(of.disk_bytes[place], bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
