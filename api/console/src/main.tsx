import { render } from "preact";
import { App } from "./app";
import "./theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";
import "./styles/pages.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
