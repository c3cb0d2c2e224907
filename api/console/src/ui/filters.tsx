/** What of a list is shown. `key=value` is a label; any other word is looked for in what a row is called. */
import type { ComponentChildren, JSX } from "preact";
import { ask, query } from "../router";
import { TONE_WORDS, type Tone } from "../words";
import { Icon } from "./icon";

/** Whether all the words of `search` fit a row. */
export function fits(search: string, texts: readonly (string | null)[], labels: Record<string, string>): boolean {
  return search.toLowerCase().split(/\s+/).filter(Boolean).every((word) => {
    const [key, value] = word.split("=");
    if (key && value !== undefined) return (labels[key] ?? "").toLowerCase() === value;
    return texts.some((text) => text?.toLowerCase().includes(word));
  });
}

export function SearchBox({ label, children }: { label: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="filters">
      <label class="searchbox">
        <Icon name="search" />
        <span class="hidden">{label}</span>
        <input
          type="search" data-search placeholder={label} value={query.value.get("q") ?? ""} maxLength={120} spellcheck={false}
          onInput={(event) => ask({ q: event.currentTarget.value })}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      {children}
    </div>
  );
}

/** One button for each tone that there is something of. */
export function ToneChoice({ of }: { of: ReadonlyMap<Tone, number> }): JSX.Element {
  const now = query.value.get("is");
  return (
    <div class="row" role="group" aria-label="By status">
      {(Object.entries(TONE_WORDS) as [Exclude<Tone, "plain">, string][])
        .filter(([tone]) => of.get(tone) || tone === now)
        .map(([tone, word]) => (
          <button class={`button choice ${tone === now ? "lit" : ""}`} data-tone={tone} key={tone} aria-pressed={tone === now}
            onClick={() => ask({ is: tone === now ? null : tone })}>
            <span class="dot" />{word} <span class="muted num">{of.get(tone) ?? 0}</span>
          </button>
        ))}
    </div>
  );
}
