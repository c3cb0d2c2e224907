/** The whole: nobody logged in, or the page that the path names. */
import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { restore, session } from "./api/session";
import { halt, start } from "./live/live";
import { PAGES } from "./pages";
import { Login } from "./pages/login";
import { match, path } from "./router";
import { Confirmation } from "./ui/confirm";
import { Frame } from "./ui/frame";
import { Keys } from "./ui/keys";
import { State } from "./ui/parts";
import { Toasts } from "./ui/toast";

const AGAIN_MS = 2_000;

export function App(): JSX.Element {
  const away = useSignal(false);
  const user = session.value?.user;

  useEffect(() => {
    const attempt = (): void => {
      restore().then(() => (away.value = false)).catch(() => {
        away.value = true;
        setTimeout(attempt, AGAIN_MS);
      });
    };
    attempt();
  }, []);

  useEffect(() => {
    if (!user) return undefined;
    start();
    return halt;
  }, [user]);

  useSignalEffect(() => {
    const page = PAGES.find((one) => match(one.path, path.value));
    document.title = page && page.path !== "/" ? `${page.name} · Pathfinder` : "Pathfinder";
  });

  if (session.value === undefined) return away.value ? <Away /> : <></>;
  return (
    <>
      {session.value ? <><Frame><Here /></Frame><Keys /></> : <Login />}
      <Confirmation />
      <Toasts />
    </>
  );
}

function Here(): JSX.Element {
  for (const page of PAGES) {
    const found = match(page.path);
    if (found) return <page.view key={path.value} {...found} />;
  }
  return <State icon="search" title="There is no such page">Press <kbd>?</kbd> to see where one can go.</State>;
}

function Away(): JSX.Element {
  return (
    <main class="login">
      <State icon="offline" title="The API does not answer">This page goes on by itself as soon as it does.</State>
    </main>
  );
}
