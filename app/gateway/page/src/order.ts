// In which order a table's rows stand, and which of them are drawn.

import { type Column, valueOf } from "./columns";
import type { Row } from "./rows";
import type { Sorting } from "./settings";

/** Rows below this number are all drawn; of more only those that can be seen. */
export const DRAW_ALL = 24;
const MARGIN = 6;

/** The rows by a column, unknown values last; null leaves them as they are. */
export function sorted(rows: Row[], sorting: Sorting | null, columns: Column[]): Row[] {
  if (!sorting) return rows;
  const { field, falling } = sorting;
  const column = columns.find((each) => each.field === field);
  const value = (row: Row) => (column ? valueOf(column, row) : ((row[field] as string | number | null | undefined) ?? null));
  const sign = falling ? -1 : 1;
  const valued = rows.map((row) => ({ row, value: value(row) }));
  valued.sort(({ value: a }, { value: b }) => {
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    return sign * (a < b ? -1 : a > b ? 1 : 0);
  });
  return valued.map((each) => each.row);
}

/** What a click on a heading makes of the order: falling, rising, and back to the feed's own. */
export function nextSorting(now: Sorting | null, field: string, text: boolean): Sorting | null {
  if (now?.field !== field) return { field, falling: !text };
  return now.falling === !text ? { field, falling: text } : null;
}

/** The rows in the order in which they stood; new ones come last. */
export function held(rows: Row[], order: string[] | null, keyOf: (row: Row) => string): Row[] {
  if (!order) return rows;
  const place = new Map(order.map((key, index) => [key, index]));
  const last = order.length;
  return [...rows].sort((one, other) => (place.get(keyOf(one)) ?? last) - (place.get(keyOf(other)) ?? last));
}

/** Which rows, from and up to but without, are drawn of `count` where `top` to `top + height` pixels can be seen. */
export function span(count: number, top: number, height: number, row: number): [number, number] {
  if (count <= DRAW_ALL) return [0, count];
  // Even numbers only: stripes stay with their rows.
  const first = Math.max(0, Math.floor(top / row) - MARGIN) & ~1;
  const last = Math.min(count, Math.ceil((top + (height || 900)) / row) + MARGIN);
  return [Math.min(first, count), last];
}
