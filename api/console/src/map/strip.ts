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
  for (let first = 0; first < weights.length; ) {
    let area = 0;
    let last = first;
    let shape = Infinity;
    for (; last < weights.length; last += 1) {
      const next = area + (weights[last] ?? 0) * scale;
      const height = next / within.w;
      const width = next / (last - first + 1) / (height || 1);
      const worse = Math.max(width / (height || 1), height / (width || 1));
      if (last > first && worse > shape) break;
      [area, shape] = [next, worse];
    }
    const height = area / within.w;
    let x = within.x;
    for (let place = first; place < last; place += 1) {
      const w = height ? ((weights[place] ?? 0) * scale) / height : 0;
      found.push({ x, y: fromBottom ? 2 * within.y + within.h - y - height : y, w, h: height });
      x += w;
    }
    y += height;
    first = last;
  }
  return found;
}

export const inset = (of: Rect, by: number, top = by): Rect => ({
  x: of.x + by, y: of.y + top, w: Math.max(0, of.w - 2 * by), h: Math.max(0, of.h - by - top),
});

export const holds = (of: Rect, x: number, y: number): boolean => x >= of.x && x < of.x + of.w && y >= of.y && y < of.y + of.h;
