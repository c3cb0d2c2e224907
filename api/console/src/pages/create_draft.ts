/** What is written into the form, and what is asked for with it. Pure. */

export interface Draft {
  name: string;
  count: number;
  image: string;
  type: "STATELESS" | "STATEFUL";
  cpu: string;
  memory: string;
  disk: string;
  labels: string;
  constraints: string;
  together: boolean;
}

export const EMPTY: Draft = {
  name: "", count: 1, image: "", type: "STATELESS", cpu: "", memory: "", disk: "", labels: "", constraints: "", together: false,
};

export interface Batch {
  containers: { hostname: string; [field: string]: unknown }[];
  together: boolean;
}

export function batchOf(draft: Draft): Batch {
  const { name, count, image, type, cpu, memory, disk } = draft;
  const shape = {
    type,
    ...(image.trim() && { image: image.trim() }),
    ...(cpu.trim() && { cpu: cpu.trim() }),
    ...(memory.trim() && { memory: sized(memory) }),
    ...(disk.trim() && { disk: sized(disk) }),
    ...(draft.labels.trim() && { labels: labelsOf(draft.labels) }),
    ...(draft.constraints.trim() && { constraints: draft.constraints.split("\n").map((one) => one.trim()).filter(Boolean) }),
  };
  const names = count > 1 ? Array.from({ length: count }, (_, place) => `${name.trim()}-${pad(place + 1, count)}`) : [name.trim()];
  return { containers: names.map((hostname) => ({ hostname, ...shape })), together: draft.together && count > 1 };
}

/** `a=1 b=2`, with commas or without; a word without `=` goes as it is, for the API to say what is wrong. */
function labelsOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split(/[\s,]+/).filter(Boolean).map((pair) => {
    const place = pair.indexOf("=");
    return place < 0 ? [pair, ""] : [pair.slice(0, place), pair.slice(place + 1)];
  }));
}

const sized = (text: string): string => text.trim().replace(/\s+/g, "");
const pad = (place: number, count: number): string => String(place).padStart(Math.max(2, String(count).length), "0");
