// A table cell whose change is seen: it flashes for a moment in the direction that it went.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Value } from "./columns";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
/** With the style sheet's fade of 100 ms a flash is over after 400 ms. */
const FLASH_MS = 300;

let flashing: HTMLElement[] = [];

/** A plain colour that is taken away for many cells at once: an animation of hundreds of cells costs every frame. */
function flash(cell: HTMLElement, direction: "up" | "down"): void {
  cell.dataset["flash"] = direction;
  flashing.push(cell);
  if (flashing.length > 1) return;
  setTimeout(() => {
    for (const each of flashing) delete each.dataset["flash"];
    flashing = [];
  }, FLASH_MS);
}

interface Props {
  value: Value;
  /** Volumes change with every trade: a flash there would say nothing. */
  flashes: boolean;
  className: string;
  children: ComponentChildren;
}

/** A cell; `value` is what a flash compares. */
export function Cell({ value, flashes, className, children }: Props) {
  const cell = useRef<HTMLTableCellElement>(null);
  const before = useRef(value);
  useLayoutEffect(() => {
    const last = before.current;
    before.current = value;
    if (!flashes || typeof last !== "number" || typeof value !== "number" || last === value || still.matches) return;
    if (cell.current) flash(cell.current, value > last ? "up" : "down");
  }, [value]);
  return <td ref={cell} class={className}>{children}</td>;
}
