/** A table of any length: only the rows one sees are drawn. It is sorted by its heads, and rows can be chosen. */
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ask, query } from "../router";
import { Icon } from "./icon";

export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  /** What the column is sorted by; without it, it is not. */
  by?: (row: Row) => string | number;
  /** Left out where there is little room. */
  wide?: boolean;
  width?: string;
}

interface Props<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  id: (row: Row) => string;
  name: (row: Row) => string;
  empty: ComponentChildren;
  chosen?: Signal<ReadonlySet<string>>;
}

const ROW_PX = 44;
const BEYOND = 8;

export function Table<Row>(props: Props<Row>): JSX.Element {
  const { rows, columns, id, chosen } = props;
  const box = useRef<HTMLDivElement>(null);
  const range = useSignal<readonly [number, number]>([0, 40]);
  const [key, down] = sorting(columns);
  const by = columns.find((one) => one.name === key)?.by ?? columns[0]?.by;
  const sorted = by ? [...rows].sort((a, b) => compare(by(a), by(b)) * (down ? -1 : 1)) : rows;

  useEffect(() => {
    const look = (): void => {
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / ROW_PX) - BEYOND);
      const last = first + Math.ceil(innerHeight / ROW_PX) + 2 * BEYOND;
      if (first !== range.peek()[0] || last !== range.peek()[1]) range.value = [first, last];
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => { removeEventListener("scroll", look); removeEventListener("resize", look); };
  }, []);

  const [first, last] = [Math.min(range.value[0], Math.max(0, sorted.length - 10)), range.value[1]];
  const shown = sorted.slice(first, last);
  if (!rows.length) return <div class="card">{props.empty}</div>;
  const all = chosen && rows.every((row) => chosen.value.has(id(row)));
  return (
    <div class="card flush table" ref={box}>
      <table aria-label={props.label} aria-rowcount={sorted.length + 1}>
        <thead>
          <tr>
            {chosen && (
              <th class="pick">
                <input type="checkbox" aria-label="Choose all" checked={all ?? false}
                  onChange={() => (chosen.value = all ? new Set() : new Set(rows.map(id)))} />
              </th>
            )}
            {columns.map((one) => <HeadCell key={one.name} column={one} active={one.name === (key || columns[0]?.name)} down={down} />)}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <tr class="gap" style={{ height: `${first * ROW_PX}px` }} />}
          {shown.map((row, place) => (
            <tr key={id(row)} aria-rowindex={first + place + 2} aria-selected={chosen?.value.has(id(row))}>
              {chosen && (
                <td class="pick">
                  <input type="checkbox" aria-label={`Choose ${props.name(row)}`} checked={chosen.value.has(id(row))}
                    onChange={() => toggle(chosen, id(row))} />
                </td>
              )}
              {columns.map((one) => <td key={one.name} class={one.wide ? "wide" : ""}>{one.cell(row)}</td>)}
            </tr>
          ))}
          {last < sorted.length && <tr class="gap" style={{ height: `${(sorted.length - last) * ROW_PX}px` }} />}
        </tbody>
      </table>
    </div>
  );
}

function HeadCell<Row>({ column, active, down }: { column: Column<Row>; active: boolean; down: boolean }): JSX.Element {
  const style = column.width ? { width: column.width } : {};
  if (!column.by) return <th class={column.wide ? "wide" : ""} style={style}>{column.name}</th>;
  return (
    <th class={column.wide ? "wide" : ""} style={style} aria-sort={active ? (down ? "descending" : "ascending") : "none"}>
      <button onClick={() => ask({ sort: `${active && !down ? "-" : ""}${column.name}` })}>
        {column.name}
        {active && <Icon name={down ? "down" : "up"} />}
      </button>
    </th>
  );
}

function sorting<Row>(columns: readonly Column<Row>[]): [string, boolean] {
  const asked = query.value.get("sort") ?? "";
  const key = asked.replace(/^-/, "");
  return columns.some((one) => one.name === key) ? [key, asked.startsWith("-")] : ["", false];
}

function toggle(chosen: Signal<ReadonlySet<string>>, id: string): void {
  const next = new Set(chosen.peek());
  if (!next.delete(id)) next.add(id);
  chosen.value = next;
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return COLLATOR.compare(String(a), String(b));
}

const COLLATOR = new Intl.Collator("en", { numeric: true });
