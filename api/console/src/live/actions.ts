/** What the console does, through the API like everybody else. Each tells what it asked for, or why it could not. */
import { call, segment } from "../api/client";
import { plural } from "../format";
import { say, sayWrong } from "../ui/toast";
import { cluster } from "./live";

/** So many requests of one action are under way at once. */
const AT_ONCE = 6;

const here = (): { cluster: string } => ({ cluster: cluster.peek() });

export const remove = (names: readonly string[]): Promise<void> =>
  each(names, "container", "is being deleted", "are being deleted", (name) =>
    call("DELETE", `/containers/${segment(name)}`, { query: here() }));

export const reschedule = (names: readonly string[]): Promise<void> =>
  each(names, "container", "is being placed anew", "are being placed anew", (name) =>
    call("POST", `/containers/${segment(name)}/reschedule`, { query: here() }));

export const cordon = (names: readonly string[]): Promise<void> =>
  each(names, "node", "takes no more placements", "take no more placements", (name) =>
    call("POST", `/nodes/${segment(name)}/cordon`, { query: here() }));

export const uncordon = (names: readonly string[]): Promise<void> =>
  each(names, "node", "takes placements again", "take placements again", (name) =>
    call("POST", `/nodes/${segment(name)}/uncordon`, { query: here() }));

export const forget = (names: readonly string[]): Promise<void> =>
  each(names, "node", "is forgotten", "are forgotten", (name) =>
    call("DELETE", `/nodes/${segment(name)}`, { query: here() }));

export const removeDeployment = (name: string): Promise<void> =>
  each([name], "deployment", "is being deleted", "", () => call("DELETE", `/deployments/${segment(name)}`, { query: here() }));

export const scale = (name: string, replicas: number): Promise<void> =>
  each([name], "deployment", `is scaled to ${replicas}`, "", () =>
    call("POST", `/deployments/${segment(name)}/scale`, { query: here(), body: { replicas } }));

const ROLLOUT = {
  undo: "goes back", pause: "is paused", resume: "goes on", promote: "goes on to the rest", restart: "makes every replica anew",
};

export const rollout = (name: string, action: keyof typeof ROLLOUT, revision?: number): Promise<void> =>
  each([name], "deployment", ROLLOUT[action], "", () =>
    call("POST", `/deployments/${segment(name)}/rollout/${action}`, { query: here(), ...(revision && { body: { revision } }) }));

async function each(
  names: readonly string[], noun: string, is: string, are: string, ask: (name: string) => Promise<unknown>,
): Promise<void> {
  const left = [...names];
  const wrong: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      try {
        await ask(name);
      } catch (error) {
        wrong.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const done = names.length - wrong.length;
  if (done) say(done === 1 && names.length === 1 ? `${names[0]} ${is}.` : `${plural(done, noun)} ${done === 1 ? is : are}.`);
  if (wrong.length) sayWrong(wrong[0]);
  if (wrong.length > 1) say(`${plural(wrong.length - 1, "more request")} failed likewise.`, "bad");
}
