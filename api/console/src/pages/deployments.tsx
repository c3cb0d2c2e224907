/** All deployments of the cluster, each with its replicas. */
import type { JSX } from "preact";
import { all } from "../api/client";
import type { Deployment } from "../api/types";
import { cluster } from "../live/live";
import { useLoaded } from "../live/use_loaded";
import { query } from "../router";
import { SearchBox, fits } from "../ui/filters";
import { Badge, Card, Head, Labels, Skeleton, State } from "../ui/parts";
import { LABEL, Squares, replicasOf, wordOf } from "../ui/replicas";
import { reasonOf } from "../ui/toast";
import { current } from "../live/live";

export function Deployments(): JSX.Element {
  const search = query.value.get("q") ?? "";
  const found = useLoaded(
    `deployments ${cluster.value}`, (stop) => all<Deployment>("/deployments", { cluster: cluster.peek() }, Infinity, stop),
    (event) => event.kind.startsWith("deployment.") || !!current().containers.get(event.subject.id)?.labels[LABEL],
  );
  const shown = (found.value ?? []).filter((one) => fits(search, [one.name, one.image], one.labels));
  return (
    <>
      <Head title="Deployments" />
      <SearchBox label="Name, image, or label=value" />
      {found.error !== null && !found.value && <Card><State icon="warning" title="They could not be read">{reasonOf(found.error)}</State></Card>}
      {!found.value && !found.error && <Skeleton rows={4} height={5} />}
      {found.value && shown.length === 0 && (
        <Card>
          {search ? <State icon="search" title="No deployment is like that" /> : (
            <State icon="deployments" title="No deployment yet">A deployment is a template and a number of replicas: <code>pfi apply -f web.yaml</code>.</State>
          )}
        </Card>
      )}
      <div class="decks">
        {shown.map((one) => {
          const [tone, word] = wordOf(one);
          return (
            <a class="card deck" key={one.id} href={`/deployments/${encodeURIComponent(one.name)}`}>
              <span class="row"><b class="mono ellipsis">{one.name}</b><Badge tone={tone} pulse={tone === "busy"}>{word}</Badge></span>
              <Squares of={replicasOf(one.name)} />
              <span class="muted small num">{one.counts.available} of {one.replicas} available · revision {one.revision}</span>
              <span class="muted small mono ellipsis">{one.image}</span>
              <Labels of={one.labels} />
              {one.message && <span class="small wrap">{one.message}</span>}
            </a>
          );
        })}
      </div>
    </>
  );
}
