/** What can be done with a deployment, and what one is asked before. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Deployment } from "../api/types";
import { plural } from "../format";
import { removeDeployment, rollout, scale } from "../live/actions";
import { go } from "../router";
import { confirm } from "../ui/confirm";
import { Icon } from "../ui/icon";
import { sayWrong } from "../ui/toast";

export function DeploymentActions({ of }: { of: Deployment }): JSX.Element {
  const canary = of.rollout["phase"] === "canary";
  const act = (action: "pause" | "resume" | "promote"): void => void rollout(of.name, action).catch(sayWrong);
  return (
    <>
      <button class="button" onClick={() => askScale(of)}>Scale</button>
      {canary && <button class="button primary" onClick={() => act("promote")}><Icon name="open" /> Promote</button>}
      {of.paused
        ? <button class="button" onClick={() => act("resume")}><Icon name="play" /> Resume</button>
        : <button class="button" onClick={() => act("pause")}><Icon name="pause" /> Pause</button>}
      <button class="button" onClick={() => askRestart(of)}>Restart</button>
      <button class="button danger" disabled={of.leaving} onClick={() => askRemoveDeployment(of)}><Icon name="trash" /> Delete</button>
    </>
  );
}

function askScale(of: Deployment): void {
  const wanted = signal(of.replicas);
  const Field = (): JSX.Element => (
    <>
      <div class="field">
        <label for="replicas">Replicas</label>
        <input id="replicas" type="number" min={0} max={9999} value={wanted.value} onInput={(event) => (wanted.value = event.currentTarget.valueAsNumber || 0)} />
      </div>
      <p class="muted small">
        {wanted.value > of.replicas && `${plural(wanted.value - of.replicas, "container")} more will be asked for.`}
        {wanted.value < of.replicas && `${plural(of.replicas - wanted.value, "container")} will be deleted, with ${of.replicas - wanted.value === 1 ? "its disk" : "their disks"}.`}
        {wanted.value === of.replicas && "It has so many now."}
      </p>
    </>
  );
  confirm({ title: `Scale ${of.name}`, action: "Scale", body: <Field />, run: () => scale(of.name, wanted.peek()) });
}

export function askUndo(name: string, revision: number): void {
  confirm({
    title: `Go back to revision ${revision}?`, action: "Go back",
    body: <p>Every replica of another revision is replaced by one of revision {revision}, a few at a time, as its strategy says.</p>,
    run: () => rollout(name, "undo", revision),
  });
}

function askRestart(of: Deployment): void {
  confirm({
    title: `Make every replica of ${of.name} anew?`, action: "Restart",
    body: <p>{plural(of.replicas, "container")}, a few at a time as its strategy says. Their disks start afresh.</p>,
    run: () => rollout(of.name, "restart"),
  });
}

function askRemoveDeployment(of: Deployment): void {
  confirm({
    title: `Delete ${of.name}?`, action: "Delete", danger: true,
    body: <p>The deployment and its {plural(of.counts.existing, "container")} are deleted, with their disks. This cannot be undone.</p>,
    run: async () => { await removeDeployment(of.name); go("/deployments"); },
  });
}
