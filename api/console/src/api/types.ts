/** What the API says, by the names of its OpenAPI document; `make console-check` generates `schema.d.ts` from it. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Container = Schemas["Container"];
export type ContainerSpec = Schemas["ContainerSpec"];
export type ContainerStatus = Container["status"];
export type Node = Schemas["Node"];
export type Cluster = Schemas["Cluster"];
export type Event = Schemas["Event"];
export type Deployment = Schemas["Deployment"];
export type Revision = Schemas["Revision"];
export type AutoscalingState = Schemas["AutoscalingState"];
export type Amounts = Schemas["Amounts"];
export type Explanation = Schemas["Explanation"];
export type Usage = Schemas["Usage"];
export type Attempt = Schemas["Attempt"];
export type Plan = Schemas["Plan"];
export type Problem = Schemas["Problem"];
export type Resilience = Schemas["Resilience"];
export type SystemStatus = Schemas["SystemStatus"];
export type Finding = Schemas["Finding"];

export interface Page<Item> {
  items: Item[];
  next_cursor?: string | null;
}

/** Who is logged in, and what they may do. `clusters` null: all of them. */
export interface Session {
  user: string;
  role: "admin" | "operator" | "viewer";
  clusters: string[] | null;
  csrf_token: string;
  expires_at: string;
}

/** A candidate of a placement: its score, and that of each scorer. */
export interface Candidate {
  node: string;
  score: number;
  scores: Record<string, number>;
}
