/** Go to anything by its name. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { containerList, nodeList } from "../live/live";
import { PAGES } from "../pages";
import { go } from "../router";
import { nodeTone, nodeWord, toneOf } from "../words";
import type { Tone } from "../words";

interface Found {
  path: string;
  name: string;
  what: string;
  tone: Tone;
}

const SHOWN = 12;

export function Palette({ done }: { done: () => void }): JSX.Element {
  const words = useSignal("");
  const place = useSignal(0);
  const found = search(words.value.trim().toLowerCase());

  function open(one: Found | undefined): void {
    if (!one) return;
    done();
    go(one.path);
  }

  function press(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      place.value = (place.value + step + found.length) % Math.max(1, found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(found[place.value]);
    }
  }

  return (
    <div>
      <input
        type="text" autofocus role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant={`found-${place.value}`}
        aria-label="Node, container or page" placeholder="Node, container or page" value={words.value} onKeyDown={press}
        onInput={(event) => { words.value = event.currentTarget.value; place.value = 0; }}
      />
      <ul id="found" role="listbox" aria-label="Found">
        {found.map((one, index) => (
          <li key={one.path} id={`found-${index}`} role="option" aria-selected={index === place.value} onClick={() => open(one)} onPointerMove={() => (place.value = index)}>
            <span class="dot" data-tone={one.tone} />
            <span class="ellipsis">{one.name}</span>
            <span class="muted small">{one.what}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="muted small none">Nothing is called so.</p>}
    </div>
  );
}

function search(words: string): Found[] {
  const pages = PAGES.filter((page) => page.icon && page.name.toLowerCase().includes(words))
    .map((page): Found => ({ path: page.path, name: page.name, what: "page", tone: "plain" }));
  if (!words) return pages;
  const nodes = nodeList.value.filter((one) => one.hostname.includes(words))
    .map((one): Found => ({ path: `/nodes/${encodeURIComponent(one.hostname)}`, name: one.hostname, what: `node, ${nodeWord(one)}`, tone: nodeTone(one) }));
  const containers = containerList.value.filter((one) => one.hostname.includes(words))
    .map((one): Found => ({ path: `/containers/${encodeURIComponent(one.hostname)}`, name: one.hostname, what: one.status, tone: toneOf(one.status) }));
  const first = (one: Found): number => (one.name === words ? 0 : one.name.startsWith(words) ? 1 : 2);
  return [...pages, ...nodes, ...containers].sort((a, b) => first(a) - first(b)).slice(0, SHOWN);
}
