/** Short notes on what was done, or could not be. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { ApiError } from "../api/client";
import type { Tone } from "../words";
import { Icon } from "./icon";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const toasts = signal<readonly Toast[]>([]);
const SHOWN_MS = 6_000;
const WRONG_SHOWN_MS = 15_000;
let last = 0;

export function say(text: string, tone: Tone = "good"): void {
  const id = (last += 1);
  toasts.value = [...toasts.peek().slice(-3), { id, tone, text }];
  setTimeout(() => drop(id), tone === "bad" ? WRONG_SHOWN_MS : SHOWN_MS);
}

export function sayWrong(error: unknown): void {
  say(reasonOf(error), "bad");
}

export function reasonOf(error: unknown): string {
  if (error instanceof ApiError) {
    return [error.message, ...error.fields.map((one) => `${one.field}: ${one.message}`)].join(" ");
  }
  return error instanceof Error ? error.message : String(error);
}

function drop(id: number): void {
  toasts.value = toasts.peek().filter((one) => one.id !== id);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((one) => (
        <div class="toast" data-tone={one.tone} key={one.id}>
          <span class="grow">{one.text}</span>
          <button class="button quiet icon" aria-label="Dismiss" onClick={() => drop(one.id)}><Icon name="close" /></button>
        </div>
      ))}
    </div>
  );
}
