// The frame of a widget: its title, by which it is moved, its settings, its end.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Placed } from "./layout";
import type { Page } from "./page";
import type { Settings } from "./settings";

/** Columns and rows to move by and to grow by. */
export interface Nudge { x: number; y: number; w: number; h: number }

/** What a widget is given. */
export interface WidgetProps {
  page: Page;
  placed: Placed;
  nudge: (by: Nudge) => void;
}

interface Props extends WidgetProps {
  title: string;
  hint?: string;
  /** A few words at the right of the title. */
  count?: string;
  menu?: ComponentChildren;
  children: ComponentChildren;
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** A widget's section; the arrows on its grip move it, with Shift they change its size. */
export function Frame({ page, placed, nudge, title, hint, count, menu, children }: Props) {
  const id = `title-${placed.id}`;
  const moved = (event: KeyboardEvent) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const [across, down] = arrow;
    nudge(event.shiftKey ? { x: 0, y: 0, w: across, h: down } : { x: across, y: down, w: 0, h: 0 });
  };
  return (
    <section class={`widget widget-${placed.kind}`} aria-labelledby={id} data-widget={placed.id} data-kind={placed.kind}
      data-board={placed.kind === "board" ? placed.settings.board : undefined}>
      <header>
        <button type="button" class="grip" aria-label={`Move or resize ${title}`} onKeyDown={moved}
          title="Drag to move. Arrow keys move, Shift and arrow keys change the size.">
          <svg width="8" height="14" viewBox="0 0 8 14" aria-hidden="true"><path d="M1 1h2v2H1zM5 1h2v2H5zM1 6h2v2H1zM5 6h2v2H5zM1 11h2v2H1zM5 11h2v2H5z" fill="currentColor" /></svg>
        </button>
        <h2 id={id}>{title}</h2>
        {hint && <span class="hint" title={hint}>{hint}</span>}
        <span class="count">{count}</span>
        {menu && <Menu label={`Settings of ${title}`}>{menu}</Menu>}
        <button type="button" class="small" aria-label={`Remove ${title}`} title="Remove" onClick={() => page.workspace.remove(placed.id)}>✕</button>
      </header>
      {children}
    </section>
  );
}

/** A button with a panel below it; Escape and a click elsewhere close it. */
export function Menu({ label, children }: { label: string; children: ComponentChildren }) {
  const details = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      if (!details.current?.open || (event.target instanceof Node && details.current.contains(event.target))) return;
      details.current.open = false;
    };
    window.addEventListener("pointerdown", close);
    return () => window.removeEventListener("pointerdown", close);
  }, []);
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !details.current?.open) return;
    event.stopPropagation();
    details.current.open = false;
    details.current.querySelector("summary")?.focus();
  };
  return (
    <details class="menu" ref={details} onKeyDown={key}>
      <summary class="small" aria-label={label} title={label}>
        <svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true"><path d="M1 3.5h7M11 3.5h2M1 10.5h2M6 10.5h7" stroke="currentColor" stroke-width="1.4" /><circle cx="9.5" cy="3.5" r="1.7" fill="none" stroke="currentColor" stroke-width="1.4" /><circle cx="4.5" cy="10.5" r="1.7" fill="none" stroke="currentColor" stroke-width="1.4" /></svg>
      </summary>
      <div class="panel">{children}</div>
    </details>
  );
}

/** Changes a widget's settings. */
export function changer({ page, placed }: WidgetProps): (settings: Settings) => void {
  return (settings) => page.workspace.change(placed.id, settings);
}
