/** What stands round every page: where one may go, whether what one sees is live, and who one is. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { logout, session } from "../api/session";
import { clock, count, span } from "../format";
import { brokenAt, cluster, clusters, containerList, halt, link, nodeList, ready, start } from "../live/live";
import { ask, section } from "../router";
import { theme, turn } from "../theme";
import { Icon } from "./icon";
import { PAGES } from "../pages";
import { openPalette } from "./keys";
import { sayWrong } from "./toast";

export function Frame({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <div class="frame">
      <aside class="side">
        <a class="brand" href="/"><img src="/icon.svg" alt="" /> Pathfinder</a>
        <button class="button jump" onClick={openPalette} aria-label="Go to a node, container or page">
          <Icon name="search" /><span>Go to…</span><kbd aria-hidden="true">Ctrl K</kbd>
        </button>
        <nav class="nav" aria-label="Pages">
          {PAGES.filter((page) => page.icon).map((page) => (
            <a key={page.path} href={page.path} aria-current={isHere(page.path) ? "page" : undefined}>
              {page.icon && <Icon name={page.icon} />}
              {page.name}
              {page.tally && ready.value && <span class="tally num">{count(TALLIES[page.tally]())}</span>}
            </a>
          ))}
        </nav>
        <Foot />
      </aside>
      <div class="content">
        <Offline />
        <main tabIndex={-1} id="main">{children}</main>
      </div>
    </div>
  );
}

const TALLIES = { nodes: () => nodeList.value.length, containers: () => containerList.value.length };

const isHere = (path: string): boolean => section.value === path.slice(1);

function Foot(): JSX.Element {
  return (
    <div class="foot">
      <ClusterChoice />
      <LinkState />
      <div class="me">
        <span class="who">
          <span class="ellipsis strong">{session.value?.user}</span>
          <br />
          <span class="muted tiny">{session.value?.role}</span>
        </span>
        <button class="button quiet icon" onClick={turn} aria-label={theme.value === "dark" ? "Light colours" : "Dark colours"}>
          <Icon name={theme.value === "dark" ? "sun" : "moon"} />
        </button>
        <button class="button quiet icon" aria-label="Log out" onClick={() => { halt(); logout().catch(sayWrong); }}>
          <Icon name="leave" />
        </button>
      </div>
    </div>
  );
}

function ClusterChoice(): JSX.Element | null {
  if (clusters.value.length < 2) return null;
  return (
    <select
      class="cluster"
      aria-label="Cluster"
      value={cluster.value}
      onChange={(event) => {
        const name = event.currentTarget.value;
        ask({ cluster: name === "default" ? null : name });
        start(name);
      }}
    >
      {clusters.value.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
    </select>
  );
}

const WORDS = { connecting: "connecting", live: "live", offline: "offline" };
const TONES = { connecting: "wait", live: "good", offline: "bad" } as const;

function LinkState(): JSX.Element {
  return (
    <div class="linkstate" data-tone={TONES[link.value]}>
      <span class={link.value === "live" ? "dot" : "dot pulse"} />
      {WORDS[link.value]}
    </div>
  );
}

/** The connection is gone: what is shown stays, and says from when it is. */
function Offline(): JSX.Element | null {
  const now = useSignal(Date.now());
  const gone = link.value === "offline";
  useEffect(() => {
    if (!gone) return undefined;
    const timer = setInterval(() => (now.value = Date.now()), 1000);
    return () => clearInterval(timer);
  }, [gone]);
  if (!gone) return null;
  const since = brokenAt.value;
  return (
    <div class="notice" data-tone="bad" role="alert">
      <Icon name="offline" />
      {since
        ? `The connection is gone for ${span(now.value - since)}. What you see is from ${clock(since)}; trying again.`
        : "The API does not answer; trying again."}
    </div>
  );
}
