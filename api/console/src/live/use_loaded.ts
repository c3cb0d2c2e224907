/** What is read for one page: read once, and again when something was told that may have changed it. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Event } from "../api/types";
import { link, onEvent } from "./live";

export interface Loaded<T> {
  value: T | null;
  error: unknown;
}

const SOON_MS = 250;

/** `load` anew whenever `key` changes, an event that `concerns` it is told, or the connection is back. */
export function useLoaded<T>(
  key: string, load: (stop: AbortSignal) => Promise<T>, concerns: (event: Event) => boolean = () => false,
): Loaded<T> {
  const found = useSignal<Loaded<T>>({ value: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = (): void => {
      timer = undefined;
      load(stop.signal)
        .then((value) => { if (!stop.signal.aborted) found.value = { value, error: null }; })
        .catch((error: unknown) => { if (!stop.signal.aborted) found.value = { value: found.peek().value, error }; });
    };
    const soon = (): void => { timer ??= setTimeout(read, SOON_MS); };
    found.value = { value: null, error: null };
    read();
    const deaf = onEvent((event) => { if (concerns(event)) soon(); });
    let before = link.peek();
    const unlinked = link.subscribe((now) => {
      if (now === "live" && before === "offline") soon();
      before = now;
    });
    return () => { stop.abort(); clearTimeout(timer); deaf(); unlinked(); };
  }, [key]);
  return found.value;
}
