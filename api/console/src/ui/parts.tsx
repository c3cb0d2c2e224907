/** What every page is made of. */
import type { ComponentChildren, JSX } from "preact";
import { percent } from "../format";
import { type Tone, nodeTone, nodeWord, toneOf } from "../words";
import { Icon, type IconName } from "./icon";

export function Badge({ tone, children, pulse }: { tone: Tone; children: ComponentChildren; pulse?: boolean }): JSX.Element {
  return (
    <span class="badge" data-tone={tone}>
      <span class={pulse ? "dot pulse" : "dot"} />
      {children}
    </span>
  );
}

export function StatusBadge({ status }: { status: string }): JSX.Element {
  const tone = toneOf(status);
  return <Badge tone={tone} pulse={tone === "busy"}>{status}</Badge>;
}

export function NodeBadge({ node }: { node: Parameters<typeof nodeWord>[0] }): JSX.Element {
  return <Badge tone={nodeTone(node)}>{nodeWord(node)}</Badge>;
}

/** Where nothing real runs, it says so wherever it is named. */
export function Simulated({ when }: { when: boolean }): JSX.Element | null {
  return when ? <span class="simulated">SIMULATED</span> : null;
}

/** A name that gives way where there is little room, and below it, or beside it, that nothing real runs there. */
export function Tagged({ simulated, children }: { simulated: boolean; children: ComponentChildren }): JSX.Element {
  return <span class="tagged"><span class="ellipsis">{children}</span> <Simulated when={simulated} /></span>;
}

export function Card({ title, aside, children, flush, class: name = "" }: {
  title?: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren; flush?: boolean; class?: string;
}): JSX.Element {
  return (
    <section class={`card ${flush ? "flush" : ""} ${name}`}>
      {title && (
        <header>
          <h2>{title}</h2>
          {aside && <span class="aside muted small">{aside}</span>}
        </header>
      )}
      {children}
    </section>
  );
}

export function Head({ title, under, crumb, actions }: {
  title: ComponentChildren; under?: ComponentChildren; crumb?: ComponentChildren; actions?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="head">
      <div class="title">
        {crumb && <div class="crumb">{crumb}</div>}
        <h1>{title}</h1>
        {under && <div class="muted">{under}</div>}
      </div>
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}

/** A share as a bar. `ghost` is what the share may grow to, drawn lighter behind it. */
export function Bar({ share, tone, ghost, thin, label }: {
  share: number; tone?: Tone; ghost?: number; thin?: boolean; label?: string;
}): JSX.Element {
  const wide = (value: number): { width: string } => ({ width: `${Math.min(100, Math.max(0, value * 100))}%` });
  return (
    <div class={thin ? "bar thin" : "bar"} data-tone={tone} role="img" aria-label={label ?? percent(share)}>
      {ghost !== undefined && <span class="ghost" style={wide(ghost)} />}
      <span style={wide(share)} />
    </div>
  );
}

export function Meter({ name, share, said, tone, ghost }: {
  name: string; share: number; said: string; tone?: Tone; ghost?: number;
}): JSX.Element {
  return (
    <div class="meter">
      <div class="label">
        <span>{name}</span>
        <span class="muted num">{said}</span>
      </div>
      <Bar share={share} label={`${name}: ${said}`} {...(tone && { tone })} {...(ghost !== undefined && { ghost })} />
    </div>
  );
}

export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {of.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </>
      ))}
    </dl>
  );
}

export function Labels({ of }: { of: Record<string, string> }): JSX.Element | null {
  const pairs = Object.entries(of).sort(([a], [b]) => a.localeCompare(b));
  if (!pairs.length) return null;
  return (
    <span class="chips">
      {pairs.map(([key, value]) => <span class="chip mono" key={key}>{key}={value}</span>)}
    </span>
  );
}

/** Nothing there, and why; or what went wrong, and what to do. */
export function State({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="state">
      <Icon name={icon} />
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Skeleton({ rows = 5, height = 2.25 }: { rows?: number; height?: number }): JSX.Element {
  return (
    <div class="stack" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        <div class="skeleton" key={row} style={{ height: `${height}rem`, opacity: 1 - row / (rows + 1) }} />
      ))}
    </div>
  );
}
