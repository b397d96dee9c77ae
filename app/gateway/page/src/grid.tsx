// The workspace: widgets on a grid, moved and resized by pointer or keys; one below the other on a phone.

import { GridStack, type GridStackNode } from "gridstack";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Nudge } from "./frame";
import { COLUMNS, type Placed, ROWS } from "./layout";
import { useObservable } from "./observable";
import type { Page } from "./page";
import { WIDGETS } from "./registry";

const narrow = window.matchMedia("(max-width: 900px)");
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const LEAST_ROW_PX = 22;

/** All widgets of the shown layout. */
export function WorkspaceView({ page }: { page: Page }) {
  useObservable(page.workspace);
  const [flow, setFlow] = useState(narrow.matches);
  useEffect(() => {
    const changed = () => setFlow(narrow.matches);
    narrow.addEventListener("change", changed);
    return () => narrow.removeEventListener("change", changed);
  }, []);
  const { layout, generation } = page.workspace;
  return (
    <main class={page.connected ? "" : "disconnected"}>
      {layout.length === 0 && <p class="empty">This layout is empty: add a widget at the top of the page.</p>}
      {flow ? <Flow key={generation} page={page} /> : <Grid key={generation} page={page} />}
    </main>
  );
}

/** One below the other, in reading order of the grid. */
function Flow({ page }: { page: Page }) {
  const layout = inOrder(page.workspace.layout);
  const nudge = (id: string, by: Nudge) => {
    const at = layout.findIndex((each) => each.id === id);
    const [one, other] = [layout[at], layout[at + Math.sign(by.y)]];
    if (!one || !other || !by.y) return;
    const place = ({ x, y, w, h }: Placed) => ({ x, y, w, h });
    page.workspace.place(new Map([[one.id, place(other)], [other.id, place(one)]]));
  };
  return <div class="flow">{layout.map((placed) => <Item key={placed.id} page={page} placed={placed} nudge={(by) => nudge(placed.id, by)} />)}</div>;
}

function inOrder(layout: Placed[]): Placed[] {
  return [...layout].sort((one, other) => one.y - other.y || one.x - other.x);
}

function Grid({ page }: { page: Page }) {
  const host = useRef<HTMLDivElement>(null);
  const grid = useRef<GridStack | null>(null);
  useLayoutEffect(() => {
    if (!host.current) return undefined;
    const made = GridStack.init({
      column: COLUMNS, cellHeight: cellHeight(host.current), margin: 4, animate: !still.matches,
      draggable: { handle: ".widget > header", cancel: "button:not(.grip), summary, .panel", scroll: true },
      resizable: { handles: "e, se, s, sw, w" }, alwaysShowResizeHandle: "mobile",
    }, host.current);
    if (!made) return undefined;
    grid.current = made;
    made.on("change", (_event: Event, nodes: GridStackNode[]) => moved(page, nodes));
    const resized = () => made.cellHeight(cellHeight(made.el));
    window.addEventListener("resize", resized);
    return () => {
      window.removeEventListener("resize", resized);
      made.offAll();
      made.destroy(false);
      grid.current = null;
    };
  }, []);
  const nudge = (shown: Placed, by: Nudge) => {
    // Keys come faster than the page is drawn: what counts is where the widget is, not where it is shown.
    const placed = page.workspace.layout.find((each) => each.id === shown.id) ?? shown;
    const element = host.current?.querySelector<HTMLElement>(`[gs-id="${CSS.escape(placed.id)}"]`);
    if (!element || !grid.current) return;
    const [x, y] = [Math.max(0, placed.x + by.x), Math.max(0, placed.y + by.y)];
    const w = Math.max(3, Math.min(COLUMNS - x, placed.w + by.w));
    grid.current.update(element, { x: Math.min(x, COLUMNS - w), y, w, h: Math.max(3, placed.h + by.h) });
    const now = page.workspace.layout.find((each) => each.id === placed.id);
    if (now) page.announcer.say(`Column ${now.x + 1}, row ${now.y + 1}, ${now.w} wide, ${now.h} high`);
  };
  return (
    <div class="grid-stack" ref={host}>
      {page.workspace.layout.map((placed) => <Cell key={placed.id} page={page} placed={placed} grid={grid} nudge={(by) => nudge(placed, by)} />)}
    </div>
  );
}

interface CellProps { page: Page; placed: Placed; grid: { current: GridStack | null }; nudge: (by: Nudge) => void }

/** An item of the grid; one that is added later makes itself known to it. */
function Cell({ page, placed, grid, nudge }: CellProps) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const item = element.current;
    if (item && grid.current && !(item as HTMLElement & { gridstackNode?: object }).gridstackNode) {
      grid.current.makeWidget(item);
      // The grid gives it its height with the next frame, and the dialog its focus back before.
      requestAnimationFrame(() => requestAnimationFrame(() => {
        item.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
        item.querySelector<HTMLElement>(".grip")?.focus({ preventScroll: true });
      }));
    }
    return () => {
      if (item) grid.current?.removeWidget(item, false);
    };
  }, []);
  const { id, x, y, w, h } = placed;
  const place = { "gs-id": id, "gs-x": x, "gs-y": y, "gs-w": w, "gs-h": h, "gs-min-w": 3, "gs-min-h": 3 };
  return (
    <div class="grid-stack-item" ref={element} {...place}>
      <div class="grid-stack-item-content"><Item page={page} placed={placed} nudge={nudge} /></div>
    </div>
  );
}

function Item({ page, placed, nudge }: Omit<CellProps, "grid">) {
  const Widget = WIDGETS[placed.kind];
  return <Widget page={page} placed={placed} nudge={nudge} />;
}

function moved(page: Page, nodes: GridStackNode[]): void {
  const places = new Map(nodes.flatMap(({ id, x, y, w, h }) => (id === undefined ? [] : [[id, { x: x ?? 0, y: y ?? 0, w: w ?? 1, h: h ?? 1 }] as const])));
  page.workspace.place(places);
}

/** So that `ROWS` rows fill the window below the strip. */
function cellHeight(host: HTMLElement): number {
  const room = host.closest("main")?.clientHeight ?? window.innerHeight;
  return Math.max(LEAST_ROW_PX, Math.floor(((room - 8) / ROWS) * 100) / 100);
}
