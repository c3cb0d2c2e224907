/** A strip treemap: areas as large as their weights, nearly square, in the order they are given. Pure.

Order matters more than perfect squares: what comes or goes moves only what comes after it. */

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** One rectangle for each weight; together they fill `within`, row after row, from its top (or from its bottom). */
export function strip(weights: readonly number[], within: Rect, fromBottom = false): Rect[] {
  const total = weights.reduce((sum, one) => sum + one, 0);
  if (!total || within.w <= 0 || within.h <= 0) return weights.map(() => ({ x: within.x, y: within.y, w: 0, h: 0 }));
  const scale = (within.w * within.h) / total;
  const found: Rect[] = [];
  let y = within.y;
  for (const [first, last] of rowsOf(weights.map((one) => one * scale), within.w)) {
    const height = weights.slice(first, last).reduce((sum, one) => sum + one * scale, 0) / within.w;
    let x = within.x;
    for (const weight of weights.slice(first, last)) {
      const w = height ? (weight * scale) / height : 0;
      found.push({ x, y: fromBottom ? 2 * within.y + within.h - y - height : y, w, h: height });
      x += w;
    }
    y += height;
  }
  return found;
}

/** Where each row begins and ends. A row takes one more as long as that makes it squarer; the last is none by itself if
it would be squarer as a part of the one before. */
function rowsOf(areas: readonly number[], width: number): [number, number][] {
  const rows: [number, number][] = [];
  for (let first = 0; first < areas.length; ) {
    let last = first + 1;
    while (last < areas.length && slimness(areas, first, last + 1, width) <= slimness(areas, first, last, width)) last += 1;
    rows.push([first, last]);
    first = last;
  }
  const [before, end] = [rows.at(-2), rows.at(-1)];
  if (before && end && slimness(areas, before[0], end[1], width) < slimness(areas, end[0], end[1], width)) {
    rows.splice(-2, 2, [before[0], end[1]]);
  }
  return rows;
}

/** How much longer than wide the middling rectangle of a row is, or the other way round. */
function slimness(areas: readonly number[], first: number, last: number, width: number): number {
  let area = 0;
  for (let place = first; place < last; place += 1) area += areas[place] ?? 0;
  const height = area / width || 1e-9;
  const each = width / (last - first);
  return Math.max(each / height, height / each);
}

export const inset = (of: Rect, by: number, top = by): Rect => ({
  x: of.x + by, y: of.y + top, w: Math.max(0, of.w - 2 * by), h: Math.max(0, of.h - by - top),
});

export const holds = (of: Rect, x: number, y: number): boolean => x >= of.x && x < of.x + of.w && y >= of.y && y < of.y + of.h;
