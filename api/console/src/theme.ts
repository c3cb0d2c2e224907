/** Light or dark: as the system says, until somebody chooses. */
import { signal } from "@preact/signals";

type Theme = "light" | "dark";

const KEY = "pathfinder-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const chosen = localStorage.getItem(KEY);

export const theme = signal<Theme>(chosen === "light" || chosen === "dark" ? chosen : system.matches ? "dark" : "light");

theme.subscribe((value) => (document.documentElement.dataset["theme"] = value));
system.addEventListener("change", (event) => {
  if (!localStorage.getItem(KEY)) theme.value = event.matches ? "dark" : "light";
});

export function turn(): void {
  theme.value = theme.peek() === "dark" ? "light" : "dark";
  localStorage.setItem(KEY, theme.peek());
}
