/** Before something is done: what will happen, and whether it shall. */
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Question {
  title: string;
  body: ComponentChildren;
  action: string;
  danger?: boolean;
  run: () => Promise<void>;
}

const asked = signal<Question | null>(null);

export function confirm(question: Question): void {
  asked.value = question;
}

export function Confirmation(): JSX.Element | null {
  const box = useRef<HTMLDialogElement>(null);
  const question = asked.value;
  useEffect(() => {
    if (question && !box.current?.open) box.current?.showModal();
  }, [question]);
  if (!question) return null;
  const close = (): void => void (asked.value = null);
  return (
    <dialog ref={box} class="dialog" aria-labelledby="question" onClose={close}>
      <form method="dialog" onSubmit={() => void question.run()}>
        <h2 id="question">{question.title}</h2>
        <div class="prose">{question.body}</div>
        <div class="row end">
          <button type="button" class="button" onClick={() => box.current?.close()}>Cancel</button>
          <button class={`button ${question.danger ? "danger" : "primary"}`} autofocus>{question.action}</button>
        </div>
      </form>
    </dialog>
  );
}

/** The first of many names, and how many more there are. */
export function Names({ of }: { of: readonly string[] }): JSX.Element {
  const shown = of.slice(0, 8);
  return (
    <p class="chips">
      {shown.map((name) => <span class="chip mono" key={name}>{name}</span>)}
      {of.length > shown.length && <span class="muted small">and {of.length - shown.length} more</span>}
    </p>
  );
}
