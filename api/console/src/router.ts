/** Where one is: the path is the page. Links are ordinary links; those of the console are followed without a load. */
import { computed, signal } from "@preact/signals";

export const path = signal(location.pathname);
export const query = signal(new URLSearchParams(location.search));

/** Go to a page; `replace` when it is the same page in another light. */
export function go(to: string, replace = false): void {
  const target = new URL(to, location.origin);
  keepCluster(target);
  if (replace) history.replaceState(null, "", target);
  else history.pushState(null, "", target);
  follow();
}

/** Change what stands behind the question mark; null takes it away. */
export function ask(changes: Record<string, string | null>): void {
  const target = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value) target.searchParams.set(name, value);
    else target.searchParams.delete(name);
  }
  history.replaceState(null, "", target);
  follow();
}

/** The parts of the path that `pattern` names, as in `/nodes/:name`; null if it is another page. */
export function match(pattern: string, of: string = path.value): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = of.split("/");
  if (wanted.length !== given.length) return null;
  const found: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    const here = given[place] ?? "";
    if (part.startsWith(":")) found[part.slice(1)] = decodeURIComponent(here);
    else if (part !== here) return null;
  }
  return found;
}

export const section = computed(() => path.value.split("/")[1] ?? "");

function keepCluster(target: URL): void {
  const now = new URLSearchParams(location.search).get("cluster");
  if (now && !target.searchParams.has("cluster")) target.searchParams.set("cluster", now);
}

function follow(): void {
  const moved = path.peek() !== location.pathname;
  path.value = location.pathname;
  query.value = new URLSearchParams(location.search);
  if (moved) {
    window.scrollTo(0, 0);
    document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
  }
}

window.addEventListener("popstate", follow);

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const anchor = (event.target as Element).closest("a");
  if (!anchor || anchor.origin !== location.origin || anchor.target || anchor.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
});
