/** The map on its canvas. */
import type { Tone } from "../words";
import { nodeTone, nodeWord } from "../words";
import type { MapPlan, Tile } from "./plan";
import type { Scene, Sprite } from "./scene";

export interface Ink {
  ground: string;
  surface: string;
  line: string;
  text: string;
  muted: string;
  accent: string;
  tones: Record<Tone, string>;
  family: string;
}

export function inkOf(element: Element): Ink {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: of("ground"), surface: of("surface"), line: of("line"), text: of("text"), muted: of("muted"), accent: of("accent"),
    tones: {
      good: of("good"), busy: of("busy"), wait: of("wait"), bad: of("bad"), lost: of("lost"), idle: of("idle"), plain: of("muted"),
    },
    family: style.fontFamily,
  };
}

export interface Marks {
  node: string | null;
  container: string | null;
  dimNode: (tile: Tile) => boolean;
}

export function draw(paper: CanvasRenderingContext2D, plan: MapPlan, scene: Scene, ink: Ink, marks: Marks): void {
  const { width, height } = paper.canvas;
  paper.clearRect(0, 0, width, height);
  paper.textBaseline = "middle";
  for (const group of plan.groups) {
    paper.fillStyle = ink.muted;
    paper.font = `600 12px ${ink.family}`;
    write(paper, group.name || "none", group.rect.x + 7, group.rect.y + 12, group.rect.w - 12);
  }
  if (plan.tray.h) {
    paper.fillStyle = ink.muted;
    paper.font = `500 12px ${ink.family}`;
    write(paper, "waiting", 4, plan.tray.h / 2 - 2, 66);
  }
  for (const tile of plan.tiles) drawTile(paper, tile, ink, marks);
  drawSprites(paper, scene, ink, marks);
}

function drawTile(paper: CanvasRenderingContext2D, tile: Tile, ink: Ink, marks: Marks): void {
  const { node, rect } = tile;
  const tone = nodeTone(node);
  const marked = marks.node === node.hostname;
  paper.globalAlpha = marks.dimNode(tile) ? 0.3 : 1;
  paper.fillStyle = ink.surface;
  paper.strokeStyle = marked ? ink.accent : tone === "good" ? ink.line : ink.tones[tone];
  paper.lineWidth = marked ? 2 : tone === "good" ? 1 : 1.5;
  paper.beginPath();
  paper.roundRect(rect.x, rect.y, rect.w, rect.h, Math.min(6, rect.w / 8));
  paper.fill();
  paper.stroke();
  if (tone !== "good") {
    paper.fillStyle = ink.tones[tone];
    paper.globalAlpha *= 0.1;
    paper.fill();
    paper.globalAlpha = marks.dimNode(tile) ? 0.3 : 1;
  }
  if (tile.named) {
    paper.fillStyle = tone === "good" ? ink.text : ink.tones[tone];
    paper.font = `560 11px ${ink.family}`;
    write(paper, tone === "good" ? node.hostname : `${node.hostname} · ${nodeWord(node)}`, rect.x + 6, rect.y + 9.5, rect.w - 12);
  }
  paper.globalAlpha = 1;
}

function drawSprites(paper: CanvasRenderingContext2D, scene: Scene, ink: Ink, marks: Marks): void {
  const byTone = new Map<Tone, Sprite[]>();
  for (const one of scene.sprites.values()) {
    const same = byTone.get(one.tone);
    if (same) same.push(one);
    else byTone.set(one.tone, [one]);
  }
  const many = scene.sprites.size > 3000;
  for (const [tone, sprites] of byTone) {
    paper.fillStyle = ink.tones[tone];
    for (const one of sprites) drawSprite(paper, one, many);
  }
  paper.globalAlpha = 1;
  const marked = marks.container ? scene.sprites.get(marks.container) : undefined;
  if (marked) {
    paper.strokeStyle = ink.text;
    paper.lineWidth = 2;
    paper.strokeRect(marked.x, marked.y, marked.w, marked.h);
  }
}

function drawSprite(paper: CanvasRenderingContext2D, one: Sprite, plain: boolean): void {
  const gap = one.w > 6 ? 1.5 : 0.5;
  const [w, h] = [one.w - gap, one.h - gap];
  if (w <= 0 || h <= 0) return;
  paper.globalAlpha = one.seen * (one.dim ? 0.14 : 0.82);
  if (plain || w < 7 || h < 7) paper.fillRect(one.x, one.y, w, h);
  else {
    paper.beginPath();
    paper.roundRect(one.x, one.y, w, h, Math.min(3, w / 4, h / 4));
    paper.fill();
  }
  if (one.glow > 0) {
    const out = (1 - one.glow) * 7 + 1;
    paper.globalAlpha = one.glow * 0.4;
    paper.fillRect(one.x - out, one.y - out, w + 2 * out, h + 2 * out);
  }
}

/** As much of a text as there is room for. */
function write(paper: CanvasRenderingContext2D, text: string, x: number, y: number, room: number): void {
  if (room < 12) return;
  let said = text;
  if (paper.measureText(said).width > room) {
    while (said.length > 1 && paper.measureText(`${said}…`).width > room) said = said.slice(0, -1);
    said += "…";
  }
  paper.fillText(said, x, y);
}
