/** The questions before what cannot be undone at once. */
import { plural } from "../format";
import { cordon, forget, remove, reschedule, uncordon } from "../live/actions";
import type { LiveContainer } from "../live/fleet";
import { Names, confirm } from "./confirm";
import { DrainPreview } from "./drain";

const names = (of: readonly { hostname: string }[]): string[] => of.map((one) => one.hostname);

export function askRemove(of: readonly LiveContainer[], then?: () => void): void {
  const stateful = of.filter((one) => one.type === "STATEFUL").length;
  confirm({
    title: of.length === 1 ? `Delete ${of[0]?.hostname}?` : `Delete ${plural(of.length, "container")}?`,
    danger: true,
    action: "Delete",
    body: (
      <>
        {of.length > 1 && <Names of={names(of)} />}
        <p>{of.length === 1 ? "It is stopped and deleted together with its disk." : "They are stopped and deleted together with their disks."} This cannot be undone.</p>
        {stateful > 0 && <p class="error">{of.length === 1 ? "It is STATEFUL: its data is gone with it." : `${stateful} of them are STATEFUL: their data is gone with them.`}</p>}
      </>
    ),
    run: async () => { await remove(names(of)); then?.(); },
  });
}

export function askReschedule(of: readonly LiveContainer[], then?: () => void): void {
  confirm({
    title: of.length === 1 ? `Place ${of[0]?.hostname} anew?` : `Place ${plural(of.length, "container")} anew?`,
    danger: true,
    action: "Reschedule",
    body: (
      <>
        {of.length > 1 && <Names of={names(of)} />}
        <p>
          The scheduler chooses a node as if {of.length === 1 ? "it was" : "they were"} asked for now, which may be the same one.
          What runs is stopped; the disk starts afresh.
        </p>
      </>
    ),
    run: async () => { await reschedule(names(of)); then?.(); },
  });
}

export function askCordon(of: readonly { hostname: string }[], holding: number, then?: () => void): void {
  confirm({
    title: of.length === 1 ? `Cordon ${of[0]?.hostname}?` : `Cordon ${plural(of.length, "node")}?`,
    action: "Cordon",
    body: (
      <>
        {of.length > 1 && <Names of={names(of)} />}
        <p>
          No new containers go there until {of.length === 1 ? "it is" : "they are"} uncordoned.{" "}
          {holding ? `The ${plural(holding, "container")} there ${holding === 1 ? "stays" : "stay"} and ${holding === 1 ? "runs" : "run"} on.` : "Nothing runs there now."}
        </p>
        {holding > 0 && <DrainPreview nodes={names(of)} />}
      </>
    ),
    run: async () => { await cordon(names(of)); then?.(); },
  });
}

export function askUncordon(of: readonly { hostname: string }[], then?: () => void): void {
  confirm({
    title: of.length === 1 ? `Open ${of[0]?.hostname} again?` : `Open ${plural(of.length, "node")} again?`,
    action: "Uncordon",
    body: <p>The scheduler may place containers there again at once, those that wait first.</p>,
    run: async () => { await uncordon(names(of)); then?.(); },
  });
}

export function askForget(of: { hostname: string }, then?: () => void): void {
  confirm({
    title: `Forget ${of.hostname}?`,
    danger: true,
    action: "Forget",
    body: <p>The node and its credential are removed. Its agent can join again only with a join token. A node that still holds containers is refused.</p>,
    run: async () => { await forget([of.hostname]); then?.(); },
  });
}
