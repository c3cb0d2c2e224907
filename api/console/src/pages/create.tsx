/** Ask for containers: what one writes is planned at once, so that one sees where they would go before they do. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, call } from "../api/client";
import { mayAct } from "../api/session";
import { plural } from "../format";
import { cluster } from "../live/live";
import { go } from "../router";
import { Icon } from "../ui/icon";
import { Card, Head, State } from "../ui/parts";
import { reasonOf, say } from "../ui/toast";
import { type Draft, EMPTY, batchOf } from "./create_draft";
import { CreateForm } from "./create_form";
import { PlanPreview, usePlan } from "./create_plan";

export function Create(): JSX.Element {
  const draft = useSignal<Draft>(EMPTY);
  const busy = useSignal(false);
  const refused = useSignal<unknown>(null);
  // The same form sent twice, because an answer was lost, makes its containers once.
  const key = useMemo(() => crypto.randomUUID(), [draft.value]);
  const plan = usePlan(draft.value);
  useEffect(() => void (refused.value = null), [draft.value]);

  async function submit(): Promise<void> {
    busy.value = true;
    try {
      const body = batchOf(draft.value);
      await call("POST", "/containers/batch", {
        query: { cluster: cluster.peek() }, body, headers: { "Idempotency-Key": key, Prefer: "return=minimal" },
      });
      say(`${body.containers.length === 1 ? body.containers[0]?.hostname : plural(body.containers.length, "container")} asked for.`);
      go(body.containers.length === 1 ? `/containers/${body.containers[0]?.hostname}` : "/containers");
    } catch (error) {
      refused.value = error;
    } finally {
      busy.value = false;
    }
  }

  const wrong = refused.value ?? plan.error;
  const fields = wrong instanceof ApiError ? wrong.fields : [];
  if (!mayAct.value) return <Card><State icon="stop" title="You may look, but not create">Ask somebody with the role operator.</State></Card>;
  return (
    <>
      <Head title="Create containers" crumb={<a href="/containers">Containers</a>} />
      <form class="grid" noValidate onSubmit={(event) => { event.preventDefault(); void submit(); }}>
        <div class="w6 stack">
          <CreateForm draft={draft} wrong={fields} />
          <div class="row">
            <button class="button primary" disabled={busy.value || !draft.value.name}>
              <Icon name="plus" /> {busy.value ? "Asking…" : `Create ${draft.value.count > 1 ? plural(draft.value.count, "container") : ""}`}
            </button>
            <a class="button quiet" href="/containers">Cancel</a>
          </div>
          {refused.value !== null && <p class="error" role="alert">{reasonOf(refused.value)}</p>}
        </div>
        <div class="w6 stack">
          <PlanPreview plan={plan} named={!!draft.value.name} />
        </div>
      </form>
    </>
  );
}
