import assert from "node:assert/strict";
import { test } from "node:test";
import type { Usage } from "../src/api/types";
import { cores } from "../src/format";
import { SPAN_SECONDS, joined, spaced } from "../src/live/usage_series";

const told = (...seconds: number[]): Usage => ({
  at: seconds.map((one) => new Date(one * 1000).toISOString()),
  cpu_cores: seconds.map(() => 0.5), memory_bytes: seconds, received_bytes: seconds.map(() => null),
  sent_bytes: seconds.map(() => null), disk_bytes: seconds.map(() => null), message: null,
});

test("what is told goes on where it was, and no longer back than an hour", () => {
  const series = joined(joined(null, told(0, 100, 200)), told(SPAN_SECONDS + 100));
  assert.deepEqual(series.at, [100, 200, SPAN_SECONDS + 100]);
  assert.deepEqual(series.memory_bytes, series.at);
  assert.deepEqual(series.received_bytes, [null, null, null]);
  assert.deepEqual(joined(null, told()).at, []);
});

test("a table has the newest value, and one for each span before it", () => {
  assert.deepEqual(spaced([0, 10, 100, 299, 300, 310], 300), [5, 1]);
  assert.deepEqual(spaced([], 300), []);
});

test("small shares of a core are told apart", () => {
  assert.deepEqual([0, 0.00001, 0.0123, 0.5, 1, 2.25].map(cores), ["0 cores", "0 cores", "0.012 cores", "0.5 cores", "1 core", "2.3 cores"]);
});
