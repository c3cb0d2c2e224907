/** What statuses and events are called, and how they look: one tone for all that means the same to whoever looks. */
import type { ContainerStatus, Event } from "./api/types";
import { clock } from "./format";
import { progressOf } from "./live/fleet";

export type Tone = "good" | "busy" | "wait" | "idle" | "bad" | "lost" | "plain";

const TONES: Record<ContainerStatus, Tone> = {
  PENDING: "wait",
  SCHEDULED: "busy",
  PROVISIONED: "good",
  PROVISION_ERROR: "bad",
  BOOTSTRAP_STARTED: "busy",
  BOOTSTRAPPED: "good",
  BOOTSTRAP_ERROR: "bad",
  SCHEDULE_DELETION: "idle",
  DELETED: "idle",
  SCHEDULE_RELOCATION: "busy",
  RELOCATE_STARTED: "busy",
  RELOCATE_ERROR: "bad",
  LOST: "lost",
};

/** The order in which statuses are told, and drawn one upon the other. */
export const STATUSES = Object.keys(TONES) as ContainerStatus[];

export const TONE_WORDS: Record<Exclude<Tone, "plain">, string> = {
  good: "running", busy: "starting", wait: "waiting", bad: "failed", lost: "lost", idle: "leaving",
};
export const TONE_ORDER = ["good", "busy", "wait", "bad", "lost", "idle"] as const;

export const toneOf = (status: string): Tone => TONES[status as ContainerStatus] ?? "plain";

export function nodeTone(node: { status: string; schedulable: boolean; aside_until?: string | null }): Tone {
  if (node.status !== "READY") return "bad";
  return node.schedulable && !node.aside_until ? "good" : "wait";
}

export function nodeWord(node: { status: string; schedulable: boolean; aside_until?: string | null }): string {
  if (node.status !== "READY") return node.status;
  if (!node.schedulable) return "CORDONED";
  return node.aside_until ? "SET ASIDE" : "READY";
}

/** Statuses a user may ask a new placement in, as `pathfinder/domain/lifecycle.py` has them. */
export const RESCHEDULABLE: ReadonlySet<string> = new Set([
  "PROVISIONED", "PROVISION_ERROR", "BOOTSTRAPPED", "BOOTSTRAP_ERROR", "RELOCATE_ERROR", "LOST",
]);

const KINDS: Record<string, readonly [Tone, string]> = {
  "container.requested": ["wait", "asked for"],
  "container.scheduled": ["busy", "given a node"],
  "container.unplaceable": ["wait", "fits nowhere now"],
  "container.progress": ["busy", "on its way"],
  "container.provisioned": ["good", "running"],
  "container.provision_failed": ["bad", "could not be made"],
  "container.missing": ["bad", "gone from its node; brought back"],
  "container.lost": ["lost", "lost with its node"],
  "container.takeover_asked": ["wait", "wanted on another node"],
  "container.rescheduled": ["wait", "to be placed anew"],
  "container.preempted": ["wait", "gave way to a more urgent one"],
  "container.departed": ["idle", "former instance is gone"],
  "container.deletion_scheduled": ["idle", "to be deleted"],
  "container.deleted": ["idle", "deleted"],
  "container.bootstrap_started": ["busy", "being set up"],
  "container.bootstrap_progress": ["busy", "being set up"],
  "container.bootstrapped": ["good", "set up"],
  "container.bootstrap_failed": ["bad", "could not be set up"],
  "container.rebootstrapped": ["busy", "to be set up anew"],
  "deployment.applied": ["busy", "declared"],
  "deployment.scaled": ["busy", "scaled"],
  "deployment.rollout_started": ["busy", "being rolled out"],
  "deployment.rolled_out": ["good", "rolled out whole"],
  "deployment.rollout_failed": ["bad", "rollout failed"],
  "deployment.undone": ["wait", "gone back to an earlier revision"],
  "deployment.paused": ["wait", "rollout paused"],
  "deployment.resumed": ["busy", "rollout goes on"],
  "deployment.promoted": ["busy", "canaries promoted"],
  "deployment.restarted": ["busy", "every replica is made anew"],
  "deployment.metric_unknown": ["bad", "a metric cannot be told"],
  "deployment.deletion_scheduled": ["idle", "to be deleted"],
  "deployment.deleted": ["idle", "deleted"],
  "node.registered": ["busy", "joined"],
  "node.ready": ["good", "ready"],
  "node.down": ["bad", "down"],
  "node.fenced": ["idle", "fenced: nothing runs there"],
  "node.fence_failed": ["bad", "could not be fenced"],
  "node.cordoned": ["wait", "cordoned"],
  "node.uncordoned": ["good", "open again"],
  "node.set_aside": ["wait", "set aside after failures"],
  "node.restored": ["good", "no longer set aside"],
  "node.updated": ["plain", "changed"],
  "node.deleted": ["idle", "forgotten"],
  "problem.resolved": ["good", "problem is over"],
};

export function kindTone(kind: string): Tone {
  return KINDS[kind]?.[0] ?? (/^(cluster|policy|deployment|user|token|secret)\./.test(kind) ? "plain" : "bad");
}

export function kindWords(kind: string): string {
  return KINDS[kind]?.[1] ?? kind.replace(/[._]/g, " ");
}

/** What an event says beyond its kind, subject and node. */
export function details(event: Event): string {
  const body = event.body;
  const said = (key: string, before = ""): string => (body[key] ? before + String(body[key]) : "");
  switch (event.kind) {
    case "container.requested": return said("image", "image ");
    case "container.scheduled": return said("policy", "by policy ");
    case "container.provisioned": return said("ipaddress");
    case "container.rescheduled": return said("from", "from ");
    case "container.preempted": return said("for", "for ");
    case "container.progress": return progressOf(body);
    case "container.provision_failed":
      return said("reason") + (body["retry_at"] ? `; again at ${clock(String(body["retry_at"]))}` : "");
    case "deployment.rolled_out":
    case "deployment.applied":
    case "deployment.undone": return said("revision", "revision ");
    case "deployment.scaled": return said("replicas", "to ");
    case "policy.applied": return said("version", "version ");
    case "problem.resolved": return said("kind");
    case "node.updated": return Object.keys(body).join(", ");
    default: return said("reason") || said("why");
  }
}
