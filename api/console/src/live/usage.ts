/** What a container or node uses, told by a stream of its own for as long as its page is open and looked at. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Usage } from "../api/types";
import { cluster } from "./live";
import { read, slept } from "./stream";
import { type Series, joined } from "./usage_series";

const PAUSE_MS = 1_000;
/** What the API has nothing to tell of is asked for again less often; where it moves, the page asks anew. */
const LONG_PAUSE_MS = 15_000;

export interface Used {
  series: Series | null;
  message: string | null;
}

/** Follow `path`, or nothing where it is null. `key` changes when what was told before is of something else. */
export function useUsage(path: string | null, key: string): Used {
  const used = useSignal<Used>({ series: null, message: null });
  useEffect(() => {
    used.value = { series: null, message: null };
    if (path === null) return undefined;
    let stop = new AbortController();
    const look = (): void => {
      stop.abort();
      if (document.hidden) return;
      stop = new AbortController();
      void follow(path, stop.signal, (found) => { used.value = found; });
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => { document.removeEventListener("visibilitychange", look); stop.abort(); };
  }, [path, key]);
  return used.value;
}

/** Each stream begins with the past, so what an earlier one told is not needed. */
async function follow(path: string, stop: AbortSignal, tell: (used: Used) => void): Promise<void> {
  while (!stop.aborted) {
    let series: Series | null = null;
    let message: string | null = null;
    await read(path, { cluster: cluster.peek() }, "", stop, (_, data) => {
      if (!data) return;
      const found = JSON.parse(data) as Usage;
      series = joined(series, found);
      message = found.message ?? null;
      tell({ series, message });
    }).catch((error: unknown) => { if (!stop.aborted) console.info("usage:", error); });
    await slept(message ? LONG_PAUSE_MS : PAUSE_MS * (0.5 + Math.random()), stop);
  }
}
