// A leaderboard as a table.

import { Component } from "preact";
import { useRef, useState } from "preact/hooks";
import { Cell } from "./cell";
import { price, shares, signed, times, tone } from "./format";
import { number, type Row } from "./rows";
import { type Board, type Choices, useObservable } from "./store";

interface Column {
  field: string;
  title: string;
  hint: string;
  /** Left out on narrow screens. */
  wide?: boolean;
  show: (value: number | null) => string;
  coloured?: boolean;
}

const LAST: Column = { field: "close", title: "Last", hint: "Price of the last aggregate, US dollars", show: price };
const VOLUME: Column = { field: "accumulated_volume", title: "Volume", hint: "Shares of the day", show: shares };
const RVOL: Column = { field: "relative_volume", title: "RVol", hint: "Volume of the day against the average day's", show: times };
const FLOAT: Column = { field: "free_float", title: "Float", hint: "Shares that are traded freely", show: shares, wide: true };

function percent(field: string, title: string, hint: string): Column {
  return { field, title, hint, show: (value) => signed(value, "%"), coloured: true };
}

/** The boards of the page: what leads each of them. */
export const BOARDS: { name: string; title: string; hint: string; columns: Column[] }[] = [
  {
    name: "top_volume", title: "Top volume", hint: "most shares of the day",
    columns: [LAST, percent("pct_change", "Chg", "Change from the previous close"), VOLUME, RVOL, FLOAT],
  },
  {
    name: "top_gappers", title: "Top gappers", hint: "change from the previous close",
    columns: [LAST, percent("pct_change", "Gap", "Change from the previous close"), VOLUME, RVOL, FLOAT],
  },
  {
    name: "top_gainers", title: "Top gainers", hint: "change since the open",
    columns: [LAST, percent("pct_change_since_open", "Open", "Change since the open of the session"), VOLUME, RVOL, FLOAT],
  },
];

interface Sorting { field: string; falling: boolean }

interface Props {
  board: Board;
  title: string;
  hint: string;
  columns: Column[];
  choices: Choices;
  connected: boolean;
}

/** One board: heading, table, and words where there are no rows. */
export function BoardView({ board, title, hint, columns, choices, connected }: Props) {
  useObservable(board, choices);
  const [sorting, setSorting] = useState<Sorting>({ field: "rank", falling: false });
  // While someone points at a row, rows stay where they are: values go on changing.
  const held = useRef<string[] | null>(null);
  const wanted = choices.filter.trim().toUpperCase();
  const matching = board.rows.filter((row) => row.symbol.includes(wanted)).slice(0, choices.rows);
  const rows = hold(sort(matching, sorting), held.current);
  const highest = Math.max(1, ...rows.map((row) => number(row, "accumulated_volume") ?? 0));
  const order = (field: string) => {
    held.current = null;
    setSorting(next(sorting, field));
  };
  return (
    <section class="board" aria-labelledby={`title-${board.name}`} data-board={board.name}>
      <header>
        <h2 id={`title-${board.name}`}>{title}</h2>
        <span class="hint">{hint}</span>
        <span class="count">{board.waiting ? `${board.waiting} updates waiting` : board.loaded ? `${rows.length} symbols` : ""}</span>
      </header>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <Heading field="rank" title="#" hint="Rank" sorting={sorting} order={order} />
              <Heading field="symbol" title="Symbol" hint="Symbol" sorting={sorting} order={order} />
              {columns.map((column) => <Heading key={column.field} {...column} sorting={sorting} order={order} />)}
            </tr>
          </thead>
          <tbody onKeyDown={walk} onPointerLeave={() => { held.current = null; board.changed(); }}
            onPointerEnter={(event) => { if (event.pointerType === "mouse") held.current = rows.map((row) => row.symbol); }}>
            {rows.map((row, index) => (
              <RowView key={row.symbol} row={row} columns={columns} highest={highest} move={board.moves.get(row.symbol)?.places ?? 0}
                selected={choices.symbol === row.symbol} first={index === 0} open={() => choices.set("symbol", row.symbol)} />
            ))}
          </tbody>
        </table>
        {rows.length === 0 && <p class="empty">{nothing(board, wanted, connected)}</p>}
      </div>
    </section>
  );
}

function nothing(board: Board, wanted: string, connected: boolean): string {
  if (board.rows.length && wanted) return `No symbol on this board matches “${wanted}”. Enter opens its quote.`;
  if (!connected) return "Not connected.";
  return "Nothing ranked yet: rows appear with the first trades of the day.";
}

interface HeadingProps {
  field: string; title: string; hint: string; wide?: boolean; sorting: Sorting; order: (field: string) => void;
}

function Heading({ field, title, hint, wide, sorting, order }: HeadingProps) {
  const sorted = sorting.field === field ? (sorting.falling ? "descending" : "ascending") : "none";
  return (
    <th scope="col" aria-sort={sorted} class={`${field === "symbol" ? "text" : "num"} ${wide ? "wide" : ""}`}>
      <button type="button" title={hint} onClick={() => order(field)}>
        {title}
        <span aria-hidden="true" class="sort">{sorted === "none" ? "" : sorting.falling ? "↓" : "↑"}</span>
      </button>
    </th>
  );
}

interface RowProps {
  row: Row; columns: Column[]; highest: number; move: number; selected: boolean; first: boolean; open: () => void;
}

/** A row is drawn again only when something in it changed: 500 of them change four times a second. */
class RowView extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps): boolean {
    const now = this.props;
    return next.row !== now.row || next.move !== now.move || next.selected !== now.selected || next.first !== now.first
      || next.highest !== now.highest || next.columns !== now.columns;
  }

  override render({ row, columns, highest, move, selected, first, open }: RowProps) {
    return (
      <tr tabIndex={first || selected ? 0 : -1} aria-selected={selected} data-symbol={row.symbol} onClick={open}
        onKeyDown={(event) => { if (event.key === "Enter") open(); }}>
        <td class="num rank">
          {row.rank}
          {move !== 0 && <span class={`move ${tone(move)}`} title={`${move > 0 ? "up" : "down"} ${Math.abs(move)}`}>{move > 0 ? "▲" : "▼"}</span>}
        </td>
        <th scope="row" class="text symbol">{row.symbol}</th>
        {columns.map((column) => {
          const value = number(row, column.field);
          const look = `${column.wide ? "wide" : ""} ${column.coloured ? `change ${tone(value)}` : ""} ${heat(column, value)}`;
          return (
            <Cell key={column.field} value={value} flashes={column === LAST || column.coloured === true} className={look}>
              {column.field === "accumulated_volume" && <Bar share={(value ?? 0) / highest} />}
              <span>{column.show(value)}</span>
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

function heat(column: Column, value: number | null): string {
  if (column !== RVOL || value === null) return "";
  return value >= 5 ? "hot" : value >= 2 ? "warm" : "";
}

function next(sorting: Sorting, field: string): Sorting {
  if (sorting.field !== field) return { field, falling: field !== "symbol" && field !== "rank" };
  return field === "rank" ? { field, falling: !sorting.falling } : sorting.falling === (field !== "symbol")
    ? { field, falling: !sorting.falling } : { field: "rank", falling: false };
}

function sort(rows: Row[], { field, falling }: Sorting): Row[] {
  if (field === "rank") return falling ? [...rows].reverse() : rows;
  const sign = falling ? -1 : 1;
  const compare = (one: Row, other: Row): number => {
    const [a, b] = [one[field] ?? null, other[field] ?? null];
    if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
    return sign * (a < b ? -1 : a > b ? 1 : 0);
  };
  return [...rows].sort(compare);
}

function hold(rows: Row[], order: string[] | null): Row[] {
  if (!order) return rows;
  const place = new Map(order.map((symbol, index) => [symbol, index]));
  const last = order.length;
  return [...rows].sort((one, other) => (place.get(one.symbol) ?? last) - (place.get(other.symbol) ?? last));
}

function walk(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? "nextElementSibling" : event.key === "ArrowUp" ? "previousElementSibling" : null;
  const row = (event.target as HTMLElement).closest("tr");
  const target = step && row?.[step];
  if (target instanceof HTMLElement) {
    target.focus();
    event.preventDefault();
  }
}
