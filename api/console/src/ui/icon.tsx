/** Small drawings of our own: a line says enough. */
import type { JSX } from "preact";

const PATHS = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  fleet: "M4 4h9v9H4zM17 4h3v5h-3zM17 13h3v7h-3zM4 17h9v3H4z",
  nodes: "M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01",
  containers: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  events: "M3 12h4l2.5-7 5 14 2.5-7h4",
  deployments: "M12 3l9 5-9 5-9-5zM3 13l9 5 9-5",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM20 20l-4-4",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  leave: "M14 4H6v16h8M10 12h11M17 8l4 4-4 4",
  plus: "M12 5v14M5 12h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  move: "M4 12h15M14 7l5 5-5 5",
  stop: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM6 6l12 12",
  open: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7z",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
  help: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 16.5h.01",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  offline: "M3 3l18 18M5 12.5a10 10 0 0 1 4-2.3M15.5 10.5a10 10 0 0 1 3.5 2M8.5 16a5 5 0 0 1 7 0M12 19.5h.01",
  clock: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 7v5l3 2",
  empty: "M4 13l3-8h10l3 8v6H4zM4 13h5l1.5 2.5h3L15 13h5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
