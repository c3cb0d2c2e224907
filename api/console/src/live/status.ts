/** How Pathfinder as a whole is: asked when something was told that may have changed it, never by the clock. */
import { signal } from "@preact/signals";
import { get } from "../api/client";
import type { SystemStatus } from "../api/types";
import { link, onEvent } from "./live";

export const status = signal<SystemStatus | null>(null);

const SOON_MS = 400;
/** However much happens, it is asked no more often than this. */
const LEAST_MS = 3_000;

let timer: ReturnType<typeof setTimeout> | undefined;
let askedAt = 0;

export function askStatus(): void {
  if (timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    askedAt = Date.now();
    get<SystemStatus>("/status").then((found) => (status.value = found)).catch(() => undefined);
  }, Math.max(SOON_MS, askedAt + LEAST_MS - Date.now()));
}

onEvent(askStatus);
link.subscribe((now) => {
  if (now === "live") askStatus();
});
