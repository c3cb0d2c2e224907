/** The one way to the API: JSON in, JSON out, and every error as an `ApiError` in the API's own words. */
import type { Page, Problem } from "./types";

export const API = "/api/v3";

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** An answer that is no success, or none at all: then `status` is 0. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: readonly { field: string; message: string }[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
  }
}

/** What every request carries that changes something, and who hears that the session is over. */
export const access = { csrfToken: "", onUnauthenticated: (): void => undefined };

export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const headers = new Headers(options.headers);
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  if (method !== "GET" && access.csrfToken) headers.set("X-CSRF-Token", access.csrfToken);
  const init: RequestInit = { method, headers, signal: options.signal ?? null };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  let answer: Response;
  try {
    answer = await fetch(address(path, options.query), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The API does not answer.");
  }
  if (!answer.ok) throw await failure(answer, path);
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  call<T>("GET", path, { ...(query && { query }), ...(signal && { signal }) });

/** Every item of a list, page after page, at most `most`. */
export async function all<Item>(path: string, query: Query, most = Infinity, signal?: AbortSignal): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Item> = await get(path, { limit: 1000, ...query, ...(cursor && { cursor }) }, signal);
    items.push(...page.items);
    cursor = page.next_cursor ?? null;
  } while (cursor && items.length < most);
  return items;
}

export function address(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    if (typeof value === "object") for (const one of value) params.append(name, one);
    else params.set(name, String(value));
  }
  const written = params.toString();
  return `${API}${path}${written ? `?${written}` : ""}`;
}

/** A name as a part of a path. */
export const segment = encodeURIComponent;

export async function failure(answer: Response, path: string): Promise<ApiError> {
  const retry = Number(answer.headers.get("Retry-After"));
  if (answer.status === 401 && path !== "/session") access.onUnauthenticated();
  let problem: Partial<Problem> = {};
  try {
    problem = (await answer.json()) as Partial<Problem>;
  } catch {
    // No problem document: something before the API answered for it.
  }
  const said = problem.detail ?? (answer.status >= 500 ? "The API does not answer." : `The API said ${answer.status}.`);
  const fields = (problem.errors ?? []).map((one) => ({ field: one["field"] ?? "", message: one["message"] ?? "" }));
  return new ApiError(answer.status, said, fields, Number.isFinite(retry) && retry > 0 ? retry : null);
}
