/** Every page: its path, its name, how one gets there. A new page is a line here. */
import type { FunctionComponent } from "preact";
import type { IconName } from "../ui/icon";
import { ContainerPage } from "./container";
import { Containers } from "./containers";
import { Create } from "./create";
import { DeploymentPage } from "./deployment";
import { Deployments } from "./deployments";
import { Events } from "./events";
import { FleetPage } from "./fleet";
import { NodePage } from "./node";
import { Nodes } from "./nodes";
import { Overview } from "./overview";

export interface PageEntry {
  path: string;
  name: string;
  /** Pages with an icon are in the navigation. */
  icon?: IconName;
  /** What is counted beside its name. */
  tally?: "nodes" | "containers";
  /** The letter that leads there after `g`. */
  key?: string;
  view: FunctionComponent<Record<string, string>>;
}

export const PAGES: readonly PageEntry[] = [
  { path: "/", name: "Overview", icon: "overview", key: "o", view: Overview },
  { path: "/fleet", name: "Fleet", icon: "fleet", key: "f", view: FleetPage },
  { path: "/nodes", name: "Nodes", icon: "nodes", tally: "nodes", key: "n", view: Nodes },
  { path: "/nodes/:name", name: "Node", view: NodePage },
  { path: "/containers", name: "Containers", icon: "containers", tally: "containers", key: "c", view: Containers },
  { path: "/containers/:name", name: "Container", view: ContainerPage },
  { path: "/deployments", name: "Deployments", icon: "deployments", key: "d", view: Deployments },
  { path: "/deployments/:name", name: "Deployment", view: DeploymentPage },
  { path: "/events", name: "Events", icon: "events", key: "e", view: Events },
  { path: "/create", name: "Create", view: Create },
];
