/** The keyboard: `/` searches, `g` and a letter goes somewhere, `?` tells of it. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { mayAct } from "../api/session";
import { PAGES } from "../pages";
import { go } from "../router";
import { turn } from "../theme";
import { Palette } from "./palette";

const opened = signal<"palette" | "help" | null>(null);
/** The second key of `g n` has to come within this time. */
const SECOND_MS = 1200;

export function openPalette(): void {
  opened.value = "palette";
}

function close(): void {
  opened.value = null;
}

export function Keys(): JSX.Element | null {
  const box = useRef<HTMLDialogElement>(null);
  const shown = opened.value;

  useEffect(() => {
    let gone = -Infinity;
    const press = (event: KeyboardEvent): void => {
      const busy = document.querySelector("dialog[open]") !== null;
      if ((event.ctrlKey || event.metaKey) && event.key === "k" && !busy) { event.preventDefault(); openPalette(); return; }
      if (event.ctrlKey || event.metaKey || event.altKey || busy || isWriting(event.target)) return;
      if (event.timeStamp - gone < SECOND_MS) {
        gone = -Infinity;
        const page = PAGES.find((one) => one.key === event.key);
        if (page) { event.preventDefault(); go(page.path); }
        return;
      }
      if (event.key === "g") gone = event.timeStamp;
      else if (event.key === "/") { event.preventDefault(); search(); }
      else if (event.key === "?") { event.preventDefault(); opened.value = "help"; }
      else if (event.key === "c" && mayAct.peek()) { event.preventDefault(); go("/create"); }
      else if (event.key === "t") turn();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);

  useEffect(() => {
    if (shown && !box.current?.open) box.current?.showModal();
  }, [shown]);

  if (!shown) return null;
  return (
    <dialog ref={box} class={`dialog ${shown}`} onClose={close} aria-label={shown === "help" ? "Keys" : "Search"}
      onClick={(event) => { if (event.target === box.current) box.current?.close(); }}>
      {shown === "help" ? <Help /> : <Palette done={() => box.current?.close()} />}
    </dialog>
  );
}

/** In the list that is shown, or in everything. */
function search(): void {
  const field = document.querySelector<HTMLInputElement>("main [data-search]");
  if (field) field.focus();
  else openPalette();
}

const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

function Help(): JSX.Element {
  const keys: [string[], string][] = [
    [["/"], "search in what is shown"],
    [["Ctrl", "K"], "go to any node, container or page"],
    ...PAGES.filter((page) => page.key).map((page): [string[], string] => [["g", page.key ?? ""], page.name]),
    ...(mayAct.value ? [[["c"], "create containers"] as [string[], string]] : []),
    [["t"], "light or dark"],
    [["?"], "this list"],
    [["Esc"], "close"],
  ];
  return (
    <form method="dialog">
      <h2>Keys</h2>
      <dl class="keys">
        {keys.map(([pressed, what]) => (
          <>
            <dt>{pressed.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <div class="row end"><button class="button" autofocus>Close</button></div>
    </form>
  );
}
