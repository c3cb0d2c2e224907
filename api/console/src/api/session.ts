/** Who is logged in. */
import { computed, signal } from "@preact/signals";
import { ApiError, access, call, get } from "./client";
import type { Session } from "./types";

/** undefined until the API was asked; null: nobody. */
export const session = signal<Session | null | undefined>(undefined);

/** What a viewer may not do is not offered. */
export const mayAct = computed(() => session.value != null && session.value.role !== "viewer");

/** Why one has to log in again, if one was in before. */
export const endedBecause = signal("");

access.onUnauthenticated = () => {
  if (session.peek()) endedBecause.value = "Your session has ended. Log in again to go on where you were.";
  enter(null);
};

export async function restore(): Promise<void> {
  try {
    enter(await get<Session>("/session"));
  } catch (error) {
    // Whatever else went wrong, it is no proof that nobody is logged in; the page says that the API does not answer.
    if (error instanceof ApiError && error.status !== 401) throw error;
    enter(null);
  }
}

export async function login(username: string, password: string): Promise<void> {
  enter(await call<Session>("POST", "/session", { body: { username, password } }));
  endedBecause.value = "";
}

/** What the identity provider is called that people may sign in at; null: there is none, or it cannot be told. */
export const singleSignOn = (): Promise<string | null> =>
  get<{ title: string | null }>("/sso").then((said) => said.title, () => null);

export async function logout(): Promise<void> {
  await call("DELETE", "/session");
  enter(null);
}

function enter(found: Session | null): void {
  access.csrfToken = found?.csrf_token ?? "";
  session.value = found;
}
