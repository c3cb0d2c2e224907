/** The event stream, read for as long as somebody listens: after each break it goes on where it was. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { address, failure } from "../api/client";
import type { Event } from "../api/types";

export interface Listener {
  /** The stream is open; the first time, its place in the log is the present. */
  onOpen(first: boolean): void;
  onEvent(event: Event): void;
  onBreak(): void;
}

/** The API says something at least each 15 s; twice that without a word is a broken connection nobody told us of. */
const SILENCE_MS = 35_000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5_000;

/** Follow the log of a cluster until `stop` is aborted. */
export async function follow(cluster: string, listener: Listener, stop: AbortSignal): Promise<void> {
  let cursor = "";
  let pause = FIRST_PAUSE_MS;
  while (!stop.aborted) {
    try {
      await read("/events/stream", { cluster }, cursor, stop, (id, data) => {
        if (!data) {
          listener.onOpen(!cursor);
          pause = FIRST_PAUSE_MS;
        } else listener.onEvent(JSON.parse(data) as Event);
        cursor = id || cursor;
      });
    } catch (error) {
      if (stop.aborted) return;
      console.info("event stream:", error);
    }
    if (stop.aborted) return;
    listener.onBreak();
    await slept(pause * (0.5 + Math.random()), stop);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Read one stream to its end; what it says first may be its place alone, without data. */
export async function read(
  path: string, query: Record<string, string>, cursor: string, stop: AbortSignal, take: (id: string, data: string) => void,
): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const heard = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  try {
    const answer = await fetch(address(path, query), {
      headers: { Accept: "text/event-stream", ...(cursor && { "Last-Event-ID": cursor }) },
      signal: AbortSignal.any([stop, silence.signal]),
    });
    if (!answer.ok || !answer.body) throw await failure(answer, path);
    const messages = answer.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(opening((id) => take(id, "")))
      .pipeThrough(new EventSourceParserStream({ onComment: heard }));
    const reader = messages.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      heard();
      take(next.value.id ?? "", next.value.data);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the place where the stream begins. It comes as an id alone, which says nothing yet, so parsers keep it. */
function opening(tell: (id: string) => void): TransformStream<string, string> {
  let opened = false;
  return new TransformStream({
    transform(chunk, controller) {
      if (!opened) tell(/^id: ?(\S+)/m.exec(chunk)?.[1] ?? "");
      opened = true;
      controller.enqueue(chunk);
    },
  });
}

export const slept = (ms: number, stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stop.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
