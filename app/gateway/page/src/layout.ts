// A layout: which widgets there are, where, and how each is set. Kept in the browser, or carried in a link.

import { read, write } from "./kept";
import { DEFAULTS, isKind, type Kind, type Settings, settingsOf } from "./settings";

/** The grid's columns; a row's height follows from the window, so that `ROWS` of them fill it. */
export const COLUMNS = 24;
export const ROWS = 24;
const MAX_WIDGETS = 24;
const MAX_ROW = 240;
const MAX_LINK_BYTES = 64 * 1024;

/** A widget's place in columns and rows of the grid, and its settings. */
export interface Placed {
  id: string;
  kind: Kind;
  x: number;
  y: number;
  w: number;
  h: number;
  settings: Settings;
}

export type Layout = Placed[];

/** What is shown to who has no layout yet: the three boards and a symbol. */
export function defaultLayout(): Layout {
  const board = (name: string, x: number): Placed => ({
    id: `board-${name}`, kind: "board", x, y: 0, w: 6, h: ROWS, settings: { ...DEFAULTS.board, board: name },
  });
  return [
    board("top_volume", 0), board("top_gappers", 6), board("top_gainers", 12),
    { id: "symbol", kind: "symbol", x: 18, y: 0, w: 6, h: ROWS, settings: { ...DEFAULTS.symbol } },
  ];
}

/** Layouts to begin with, by name. */
export const TEMPLATES: Record<string, () => Layout> = { "Three boards": defaultLayout, "All widgets": allWidgets };

function allWidgets(): Layout {
  const place = (kind: Kind, x: number, y: number, w: number, h: number, settings: Settings = {}): Placed => ({
    id: settings.board ? `board-${settings.board}` : kind, kind, x, y, w, h, settings: { ...DEFAULTS[kind], ...settings },
  });
  return [
    place("board", 0, 0, 6, 13, { board: "top_volume" }), place("board", 6, 0, 6, 13, { board: "top_gappers" }),
    place("board", 12, 0, 6, 13, { board: "top_gainers" }), place("symbol", 18, 0, 6, ROWS),
    place("scanner", 0, 13, 7, 11), place("windows", 7, 13, 6, 11), place("alerts", 13, 13, 5, 6), place("halts", 13, 19, 5, 5),
  ];
}

/** The first place in reading order where so many columns and rows are free. */
export function freePlace(layout: Layout, w: number, h: number): { x: number; y: number } {
  const bottom = Math.max(0, ...layout.map((each) => each.y + each.h));
  for (let y = 0; y < bottom; y += 1) {
    for (let x = 0; x + w <= COLUMNS; x += 1) {
      const clash = layout.some((each) => x < each.x + each.w && each.x < x + w && y < each.y + each.h && each.y < y + h);
      if (!clash) return { x, y };
    }
  }
  return { x: 0, y: bottom };
}

/** A layout in what came from outside; null where it is none. Unknown settings are left out. */
export function parseLayout(value: unknown): Layout | null {
  const widgets = (value as { v?: unknown; widgets?: unknown } | null)?.widgets;
  if ((value as { v?: unknown } | null)?.v !== 1 || !Array.isArray(widgets) || widgets.length > MAX_WIDGETS) return null;
  const layout: Layout = [];
  const seen = new Set<string>();
  for (const each of widgets as unknown[]) {
    if (typeof each !== "object" || each === null) return null;
    const { kind, x, y, w, h, settings } = each as Record<string, unknown>;
    if (!isKind(kind) || !whole(x, 0, COLUMNS - 1) || !whole(y, 0, MAX_ROW) || !whole(w, 1, COLUMNS) || !whole(h, 1, MAX_ROW)) return null;
    const id = fresh(kind, seen);
    seen.add(id);
    layout.push({ id, kind, x, y, w: Math.min(w, COLUMNS - x), h, settings: settingsOf(kind, settings) });
  }
  return layout;
}

/** A name that no widget has yet. */
export function fresh(kind: string, taken: { has(id: string): boolean }): string {
  let number = 1;
  while (taken.has(`${kind}-${number}`)) number += 1;
  return `${kind}-${number}`;
}

function whole(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}

function plain(layout: Layout): object {
  return { v: 1, widgets: layout.map(({ kind, x, y, w, h, settings }) => ({ kind, x, y, w, h, settings })) };
}

/** The link's part that holds the layout: deflated JSON in base64url. */
export async function encodeLayout(layout: Layout): Promise<string> {
  const text = new Blob([JSON.stringify(plain(layout))]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(text).arrayBuffer());
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The layout of such a part; null where it holds none. */
export async function decodeLayout(part: string): Promise<Layout | null> {
  if (part.length > MAX_LINK_BYTES || !/^[\w-]+$/.test(part)) return null;
  try {
    const binary = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return parseLayout(JSON.parse(await bounded(stream)));
  } catch {
    return null;
  }
}

/** The text of a stream. A few bytes of a link may inflate to gigabytes: it ends at the bound. */
async function bounded(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_LINK_BYTES) {
      await reader.cancel();
      throw new RangeError(`a layout is at most ${MAX_LINK_BYTES} characters`);
    }
  }
}

/** Layouts by name as the browser keeps them, and which of them is shown. */
export interface Shelf {
  current: string;
  layouts: Map<string, Layout>;
}

const FIRST_NAME = "My layout";

/** What the browser keeps; the default layout where it keeps nothing that can be read. */
export function loadShelf(): Shelf {
  const layouts = new Map<string, Layout>();
  let current = FIRST_NAME;
  try {
    const kept = JSON.parse(read("layouts") ?? "{}") as { current?: unknown; layouts?: Record<string, unknown> };
    for (const [name, value] of Object.entries(kept.layouts ?? {})) {
      const layout = parseLayout(value);
      if (layout) layouts.set(name, layout);
    }
    if (typeof kept.current === "string" && layouts.has(kept.current)) current = kept.current;
  } catch {
    // Written by another version or by hand: begin afresh.
  }
  if (!layouts.has(current)) current = [...layouts.keys()][0] ?? FIRST_NAME;
  if (!layouts.has(current)) layouts.set(current, defaultLayout());
  return { current, layouts };
}

/** Keep the layouts; whether the browser did. */
export function keepShelf(shelf: Shelf): boolean {
  const layouts = Object.fromEntries([...shelf.layouts].map(([name, layout]) => [name, plain(layout)]));
  return write("layouts", JSON.stringify({ current: shelf.current, layouts }));
}
