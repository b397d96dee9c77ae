// A table cell whose change is seen: it flashes for a moment in the direction that it went.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Value } from "./columns";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const FLASH_MS = 400;

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
    const colour = value > last ? "var(--flash-up)" : "var(--flash-down)";
    cell.current?.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], { duration: FLASH_MS, easing: "ease-out" });
  }, [value]);
  return <td ref={cell} class={className}>{children}</td>;
}
