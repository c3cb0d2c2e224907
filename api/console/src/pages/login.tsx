/** Who are you? */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { API, ApiError } from "../api/client";
import { endedBecause, login, singleSignOn } from "../api/session";
import { plural } from "../format";

export function Login(): JSX.Element {
  const busy = useSignal(false);
  const wrong = useSignal("");
  const lockedSeconds = useSignal(0);
  const provider = useSignal<string | null>(null);

  useEffect(() => void singleSignOn().then((title) => (provider.value = title)), []);

  useEffect(() => {
    const timer = setInterval(() => (lockedSeconds.value = Math.max(0, lockedSeconds.peek() - 1)), 1000);
    return () => clearInterval(timer);
  }, []);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    busy.value = true;
    wrong.value = "";
    try {
      await login(String(form.get("username")), String(form.get("password")));
    } catch (error) {
      if (error instanceof ApiError && error.status === 429) lockedSeconds.value = error.retryAfterSeconds ?? 30;
      wrong.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  }

  const locked = lockedSeconds.value > 0;
  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <h1 class="brand"><img src="/icon.svg" alt="" /> Pathfinder</h1>
        {endedBecause.value && <p class="muted small">{endedBecause.value}</p>}
        <div class="field">
          <label for="username">User</label>
          <input id="username" name="username" autocomplete="username" autocapitalize="none" required autofocus />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required />
        </div>
        {wrong.value && (
          <p class="error" role="alert">
            {wrong.value}
            {locked && ` Try again in ${plural(lockedSeconds.value, "second")}.`}
          </p>
        )}
        <button class="button primary" disabled={busy.value || locked}>{busy.value ? "Logging in…" : "Log in"}</button>
        {provider.value && <a class="button" href={`${API}/sso/begin`}>Sign in with {provider.value}</a>}
      </form>
    </main>
  );
}
