// A table cell whose change is seen: it flashes for a moment in the direction that it went.

import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const FLASH_MS = 450;

interface Props {
  value: number | null;
  /** Volumes change with every trade: a flash there would say nothing. */
  flashes?: boolean;
  className?: string;
  children: ComponentChildren;
}

/** A number's cell; `value` is what a flash compares. */
export function Cell({ value, flashes = true, className = "", children }: Props) {
  const cell = useRef<HTMLTableCellElement>(null);
  const before = useRef(value);
  useLayoutEffect(() => {
    const last = before.current;
    before.current = value;
    if (!flashes || last === null || value === null || last === value || still.matches) return;
    const colour = value > last ? "var(--flash-up)" : "var(--flash-down)";
    cell.current?.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], { duration: FLASH_MS, easing: "ease-out" });
  }, [value]);
  return <td ref={cell} class={`num ${className}`}>{children}</td>;
}
