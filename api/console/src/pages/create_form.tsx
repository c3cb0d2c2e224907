/** The fields of a new container. What is wrong stands at its field, in the API's words. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { Card } from "../ui/parts";
import type { Draft } from "./create_draft";

type Wrong = readonly { field: string; message: string }[];

export function CreateForm({ draft, wrong }: { draft: Signal<Draft>; wrong: Wrong }): JSX.Element {
  const change = <Name extends keyof Draft>(name: Name, value: Draft[Name]): void => {
    draft.value = { ...draft.peek(), [name]: value };
  };
  const said = (field: string): string | undefined =>
    wrong.find((one) => one.field.replace(/^containers\[\d+\]\./, "").startsWith(field))?.message;
  const text = (name: "name" | "image" | "cpu" | "memory" | "disk" | "labels", field: string): JSX.IntrinsicElements["input"] => ({
    id: name, value: draft.value[name], autocomplete: "off", spellcheck: false, "aria-invalid": said(field) ? "true" : undefined,
    "aria-describedby": `${name}-said`, onInput: (event) => change(name, event.currentTarget.value),
  });
  return (
    <>
      <Card title="What">
        <div class="form">
          <Field id="name" name="Name" hint={draft.value.count > 1 ? "Each gets a number at its end." : undefined} wrong={said("hostname")}>
            <input {...text("name", "hostname")} placeholder="web-01" autofocus />
          </Field>
          <Field id="count" name="How many">
            <input id="count" type="number" min={1} max={1000} value={draft.value.count}
              onInput={(event) => change("count", Math.min(1000, Math.max(1, event.currentTarget.valueAsNumber || 1)))} />
          </Field>
          <Field id="image" name="Image" hint="The cluster's default image if left out." wrong={said("image")}>
            <input {...text("image", "image")} placeholder="[REMOTE:]ALIAS" />
          </Field>
          <Field id="type" name="Type" hint={draft.value.type === "STATEFUL" ? "Waits for its node if that dies: its disk is worth keeping." : "May be started anew elsewhere."}>
            <select id="type" value={draft.value.type} onChange={(event) => change("type", event.currentTarget.value as Draft["type"])}>
              <option>STATELESS</option>
              <option>STATEFUL</option>
            </select>
          </Field>
          <Field id="labels" name="Labels" wrong={said("labels")} wide>
            <input {...text("labels", "labels")} placeholder="app=web tier=front" />
          </Field>
        </div>
      </Card>
      <Card title="How large" aside="no limit where nothing is written">
        <div class="form thirds">
          <Field id="cpu" name="CPU" wrong={said("cpu")}><input {...text("cpu", "cpu")} placeholder="2, 0.5, 500m" /></Field>
          <Field id="memory" name="Memory" wrong={said("memory")}><input {...text("memory", "memory")} placeholder="512MiB" /></Field>
          <Field id="disk" name="Disk" wrong={said("disk")}><input {...text("disk", "disk")} placeholder="10GiB" /></Field>
        </div>
      </Card>
      <Card title="Where" aside="anywhere that fits, if left out">
        <div class="form">
          <Field id="constraints" name="Conditions on the node" hint="One on each line: zone in (a, b), disk=ssd, !legacy" wrong={said("constraints")} wide>
            <textarea id="constraints" rows={2} value={draft.value.constraints} spellcheck={false} aria-describedby="constraints-said"
              onInput={(event) => change("constraints", event.currentTarget.value)} />
          </Field>
          {draft.value.count > 1 && (
            <label class="row small">
              <input type="checkbox" checked={draft.value.together} onChange={(event) => change("together", event.currentTarget.checked)} />
              All at once or none of them
            </label>
          )}
        </div>
      </Card>
    </>
  );
}

function Field({ id, name, hint, wrong, wide, children }: {
  id: string; name: string; hint?: string | undefined; wrong?: string | undefined; wide?: boolean; children: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`field ${wide ? "whole" : ""}`}>
      <label for={id}>{name}</label>
      {children}
      <span id={`${id}-said`} class={wrong ? "error" : "hint"}>{wrong ?? hint}</span>
    </div>
  );
}
