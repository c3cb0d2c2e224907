import assert from "node:assert/strict";
import { test } from "node:test";
import { Buckets, levels } from "../src/live/buckets";
import type { Tone } from "../src/words";
import { told } from "./events";

const at = (minute: number): { at: string } => ({ at: new Date(minute * 60_000).toISOString() });

test("how many ran each minute is reckoned backwards from how many run now", () => {
  const buckets = new Buckets(60);
  buckets.add(told("container.requested", "PENDING", at(1)));
  buckets.add(told("container.scheduled", "SCHEDULED", at(2)));
  buckets.add(told("container.provisioned", "PROVISIONED", at(3)));
  const shown = buckets.between(0, 4 * 60);
  const found = levels(shown, new Map<Tone, number>([["good", 6]]));
  assert.deepEqual(found.map((level) => level.get("good")), [5, 5, 5, 6, 6]);
  assert.deepEqual(found.map((level) => level.get("wait") ?? 0), [0, 1, 0, 0, 0]);
  assert.deepEqual(found.map((level) => level.get("busy") ?? 0), [0, 0, 1, 0, 0]);
  assert.deepEqual(shown.map((one) => one.placed), [0, 0, 1, 0, 0]);
});

test("what left within the hour was there before, though nobody told of it", () => {
  const buckets = new Buckets(60);
  buckets.add(told("container.deletion_scheduled", "SCHEDULE_DELETION", at(2)));
  buckets.add(told("container.deleted", "DELETED", at(2)));
  const found = levels(buckets.between(0, 3 * 60), new Map<Tone, number>([["good", 1]]));
  assert.deepEqual(found.map((level) => level.get("good")), [2, 2, 1, 1]);
});
