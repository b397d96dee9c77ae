// A table of live rows: sorted by its headings, walked by keys, steady under the pointer, quick with 500 rows.

import { Component } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Cell } from "./cell";
import { type Column, valueOf } from "./columns";
import { tone } from "./format";
import { held, nextSorting, sorted, span } from "./order";
import { number, type Row } from "./rows";
import type { Sorting } from "./settings";

const phone = window.matchMedia("(max-width: 900px)");
/** Heights of a row in pixels, as in the style sheet. */
const rowHeight = () => (phone.matches ? 34 : 26);

export interface TableProps {
  /** What the table is, for who cannot see where it stands. */
  label: string;
  rows: Row[];
  columns: Column[];
  /** The user chose the columns: none is left out where it is narrow. */
  chosen: boolean;
  ranked: boolean;
  sorting: Sorting | null;
  onSort: (sorting: Sorting | null) => void;
  keyOf?: (row: Row) => string;
  selected: string | null;
  open: (symbol: string) => void;
  full: boolean;
  moves?: Map<string, { places: number; at: number }>;
  entered?: Map<string, number>;
  /** Rows whose last aggregate ended before (epoch ms) are greyed. */
  staleBefore?: number | null;
}

const bySymbol = (row: Row) => row.symbol;

/** The table with its scroll area. */
export function Table(props: TableProps) {
  const { label, columns, ranked, sorting, onSort, keyOf = bySymbol, selected } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const order = useRef<string[] | null>(null);
  const focus = useRef<string | null>(null);
  const [, redraw] = useState(0);
  const [active, setActive] = useState<string | null>(null);
  const rows = held(sorted(props.rows, sorting, columns), order.current, keyOf);
  const [first, last] = span(rows.length, scroll.current?.scrollTop ?? 0, scroll.current?.clientHeight ?? 0, rowHeight());
  const shown = rows.slice(first, last);
  const drawn = useRef("");
  drawn.current = `${first}/${last}`;
  const stop = shown.some((row) => keyOf(row) === active) ? active : shown[0] ? keyOf(shown[0]) : null;
  const bar = columns.find((each) => each.look === "bar");
  const highest = bar ? rounded(Math.max(1, ...rows.map((row) => number(row, bar.field) ?? 0))) : 1;

  useLayoutEffect(() => {
    if (focus.current === null) return;
    const link = scroll.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(focus.current)}"] a`);
    focus.current = null;
    link?.focus({ preventScroll: true });
  });

  const hold = (on: boolean) => {
    order.current = on ? rows.map(keyOf) : null;
    redraw((count) => count + 1);
  };
  const walk = (event: KeyboardEvent) => {
    const at = rows.findIndex((row) => keyOf(row) === (event.target as HTMLElement).closest("tr")?.dataset["key"]);
    const to = target(event.key, at, rows.length, scroll.current?.clientHeight ?? 0);
    const row = to === null ? undefined : rows[to];
    if (to === null || !row || !scroll.current) return;
    event.preventDefault();
    if (!order.current) order.current = rows.map(keyOf);
    reveal(scroll.current, to);
    focus.current = keyOf(row);
    setActive(keyOf(row));
    redraw((count) => count + 1);
  };
  const scrolled = () => {
    const now = span(rows.length, scroll.current?.scrollTop ?? 0, scroll.current?.clientHeight ?? 0, rowHeight());
    if (`${now[0]}/${now[1]}` !== drawn.current) redraw((count) => count + 1);
  };
  return (
    <div class="scroll" ref={scroll} onScroll={scrolled} tabIndex={rows.length ? -1 : 0} role="region" aria-label={`Rows of ${label}`}>
      <table aria-label={label} aria-rowcount={rows.length + 1} class={props.chosen ? "chosen" : ""}>
        <thead>
          <tr aria-rowindex={1}>
            {ranked && <th scope="col" class="num rank"><span class="head" title="Rank">#</span></th>}
            <Heading field="symbol" title="Symbol" hint="Symbol" text sorting={sorting} onSort={onSort} release={() => hold(false)} />
            {columns.map((column) => <Heading key={column.field} {...column} text={column.text === true} sorting={sorting} onSort={onSort} release={() => hold(false)} />)}
          </tr>
        </thead>
        <tbody onKeyDown={walk}
          onPointerEnter={(event) => { if (event.pointerType === "mouse") hold(true); }} onPointerLeave={() => hold(false)}
          onFocusIn={(event) => { if (!order.current && (event.target as HTMLElement).matches(":focus-visible")) hold(true); }}
          onFocusOut={(event) => { if (!(event.currentTarget as HTMLElement).contains(event.relatedTarget as Node | null)) hold(false); }}>
          <Spacer rows={first} />
          {shown.map((row, index) => {
            const key = keyOf(row);
            return (
              <RowView key={key} name={key} row={row} columns={columns} highest={highest} ranked={ranked} full={props.full}
                index={first + index + 2} move={props.moves?.get(row.symbol)?.places ?? 0} fresh={props.entered?.has(key) ?? false}
                stale={isStale(row, props.staleBefore)} selected={selected === row.symbol} stop={key === stop} open={props.open} />
            );
          })}
          <Spacer rows={rows.length - last} />
        </tbody>
      </table>
    </div>
  );
}

/** A little above: bars are not drawn anew each time the greatest of them grows. */
function rounded(value: number): number {
  return 2 ** (Math.ceil(Math.log2(value) * 8) / 8);
}

/** The room of rows that are not drawn. */
function Spacer({ rows }: { rows: number }) {
  return rows > 0 ? <tr class="spacer" aria-hidden="true" style={{ height: `${rows * rowHeight()}px` }} /> : null;
}

function isStale(row: Row, before: number | null | undefined): boolean {
  const at = number(row, "end_timestamp");
  return before !== null && before !== undefined && at !== null && at < before;
}

function target(key: string, at: number, count: number, height: number): number | null {
  const page = Math.max(1, Math.floor(height / rowHeight()) - 2);
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
  const step = steps[key];
  return step === undefined || at < 0 ? null : Math.max(0, Math.min(count - 1, at + step));
}

function reveal(scroll: HTMLElement, index: number): void {
  const [height, head] = [rowHeight(), scroll.querySelector("thead")?.clientHeight ?? 0];
  const top = index * height;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (top + height + head > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = top + height + head - scroll.clientHeight;
}

interface HeadingProps {
  field: string; title: string; hint: string; text: boolean; priority?: number;
  sorting: Sorting | null; onSort: (sorting: Sorting | null) => void; release: () => void;
}

function Heading({ field, title, hint, text, priority = 1, sorting, onSort, release }: HeadingProps) {
  const state = sorting?.field === field ? (sorting.falling ? "descending" : "ascending") : "none";
  const order = () => {
    release();
    onSort(nextSorting(sorting, field, text));
  };
  return (
    <th scope="col" aria-sort={state} class={`${text ? "text" : "num"} p${priority}`}>
      <button type="button" title={hint} onClick={order}>
        {title}
        <span aria-hidden="true" class="sort">{state === "none" ? "" : state === "descending" ? "↓" : "↑"}</span>
      </button>
    </th>
  );
}

interface RowProps {
  name: string; row: Row; columns: Column[]; highest: number; ranked: boolean; full: boolean; index: number; move: number;
  fresh: boolean; stale: boolean; selected: boolean; stop: boolean; open: (symbol: string) => void;
}

const COMPARED = ["row", "columns", "highest", "full", "index", "move", "fresh", "stale", "selected", "stop"] as const;

/** A row is drawn again only when something in it changed: 500 of them change four times a second. */
class RowView extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    return COMPARED.some((name) => next[name] !== this.props[name]);
  }

  override render({ name, row, columns, highest, ranked, full, index, move, fresh, stale, selected, stop, open }: RowProps) {
    const opened = (event: Event) => {
      event.preventDefault();
      open(row.symbol);
    };
    return (
      <tr aria-rowindex={index} aria-current={selected ? "true" : undefined} data-key={name} data-symbol={row.symbol} onClick={opened}
        class={`${index % 2 ? "odd" : ""} ${fresh ? "fresh" : ""} ${stale ? "old" : ""}`} title={stale ? "No trade for a while" : undefined}>
        {ranked && (
          <td class="num rank">
            {row.rank ?? ""}
            {move !== 0 && <span class={`move ${tone(move)}`} title={`${move > 0 ? "up" : "down"} ${Math.abs(move)}`}>{move > 0 ? "▲" : "▼"}</span>}
          </td>
        )}
        <th scope="row" class="text symbol"><a href={`?symbol=${encodeURIComponent(row.symbol)}`} tabIndex={stop ? 0 : -1}>{row.symbol}</a></th>
        {columns.map((column) => {
          const value = valueOf(column, row);
          return (
            <Cell key={column.field} value={value} flashes={column.flashes === true} className={look(column, value)}>
              {column.look === "bar" && <Bar share={(typeof value === "number" ? value : 0) / highest} />}
              <span>{column.show(value, full)}</span>
            </Cell>
          );
        })}
      </tr>
    );
  }
}

function Bar({ share }: { share: number }) {
  if (share < 0.015) return null;
  return <i class="bar" aria-hidden="true" style={{ width: `${Math.max(0, Math.min(100, share * 100)).toFixed(1)}%` }} />;
}

function look(column: Column, value: string | number | null): string {
  const classes = [column.text ? "text" : "num", `p${column.priority}`];
  const figure = typeof value === "number" ? value : null;
  if (column.look === "sign") classes.push("change", tone(figure));
  if (column.look === "heat" && figure !== null && figure >= 2) classes.push(figure >= 5 ? "hot" : "warm");
  return classes.join(" ");
}
