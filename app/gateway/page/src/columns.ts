// The columns that tables offer: where a value comes from, how it is written, what it means.

import { moment, price, shares, signed, times, UNKNOWN } from "./format";
import { number, type Row } from "./rows";

export type Value = number | string | null;

/** A column; `field` is its name in layouts, and the row's field unless `value` computes it. */
export interface Column {
  field: string;
  title: string;
  hint: string;
  /** Fields of the row that `value` is computed from. */
  needs?: string[];
  value?: (row: Row) => Value;
  /** The text of a value; `full` writes figures out. */
  show: (value: Value, full: boolean) => string;
  /** Coloured by sign, by size, or with a bar behind it. */
  look?: "sign" | "heat" | "bar";
  flashes?: boolean;
  text?: boolean;
  /** 1 stays on the narrowest widget, 3 goes first. */
  priority: 1 | 2 | 3;
}

type Write = (value: number | null, full: boolean) => string;
const figure = (write: Write) => (value: Value, full: boolean) => write(typeof value === "number" ? value : null, full);
const asText = (value: Value) => (value === null || value === "" ? UNKNOWN : String(value));

function column(field: string, title: string, hint: string, write: Write, more: Partial<Column> = {}): Column {
  return { field, title, hint, show: figure(write), priority: 3, ...more };
}

const dollars: Write = (value) => price(value);
const count: Write = (value, full) => shares(value, full);
const percent: Write = (value) => signed(value, "%");
const time: Write = (value) => moment(value);
const sign = { look: "sign", flashes: true } as const;

const distance = (row: Row): number | null => {
  const [last, vwap] = [number(row, "close"), number(row, "aggregate_vwap")];
  return last === null || !vwap ? null : (last / vwap - 1) * 100;
};

/** The columns of a quote row: boards and scanners. */
export const QUOTE_COLUMNS: Column[] = [
  column("close", "Last", "Price of the last aggregate, US dollars", dollars, { flashes: true, priority: 1 }),
  column("pct_change", "Chg", "Change from the previous close", percent, { ...sign, priority: 1 }),
  column("pct_change_since_open", "Open", "Change since the open of the session", percent, { ...sign, priority: 1 }),
  column("pct_open_gap", "Gap", "Open against the previous close", percent, sign),
  column("change", "Chg $", "Change from the previous close, US dollars", (value) => signed(value), sign),
  column("change_since_open", "Open $", "Change since the open of the session, US dollars", (value) => signed(value), sign),
  column("accumulated_volume", "Volume", "Shares of the day", count, { look: "bar", priority: 1 }),
  column("dollar_volume", "$ Volume", "Shares of the day times their average price, US dollars", count),
  column("relative_volume", "RVol", "Volume of the day against the average day's", (value) => times(value), { look: "heat", priority: 2 }),
  column("avg_volume", "Avg vol", "Average shares of a day", count),
  column("free_float", "Float", "Shares that are traded freely", count),
  column("aggregate_vwap", "VWAP", "Volume-weighted average price of the day", dollars),
  { ...column("vwap_distance", "vs VWAP", "Last price against the day's VWAP", percent, { look: "sign" }), value: distance, needs: ["close", "aggregate_vwap"] },
  column("open", "Open at", "Price at the open of the session", dollars),
  column("prev_day_close", "Prev close", "Close of the previous day", dollars),
  column("prev_day_high", "Prev high", "High of the previous day", dollars),
  column("prev_day_low", "Prev low", "Low of the previous day", dollars),
  column("end_timestamp", "Time", "End of the last aggregate, US/Eastern", time),
];

/** The columns of a trade window. */
export const WINDOW_COLUMNS: Column[] = [
  column("latest_price", "Last", "Price of the latest trade, US dollars", dollars, { flashes: true, priority: 1 }),
  column("total_volume", "Volume", "Shares of the last trades, at most 1,000 of them", count, { look: "bar", priority: 1 }),
  column("trade_count", "Trades", "Trades in the window", count, { priority: 1 }),
  {
    ...column("per_minute", "/min", "Trades a minute over the window's span", (value) => shares(value === null ? null : Math.round(value)), { priority: 2 }),
    value: (row) => perMinute(row), needs: ["trade_count", "time_span_ms"],
  },
  column("avg_size", "Avg size", "Average shares of a trade", count, { priority: 2 }),
  column("max_size", "Largest", "Shares of the largest trade", count),
  column("time_span_ms", "Span", "From the oldest trade of the window to its newest", (value) => (value === null ? UNKNOWN : span(value))),
  column("latest_timestamp", "Time", "Time of the latest trade, US/Eastern", time),
];

function perMinute(row: Row): number | null {
  const [trades, ms] = [number(row, "trade_count"), number(row, "time_span_ms")];
  return trades === null || !ms ? null : trades / (ms / 60_000);
}

function span(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** The columns of what is halted. */
export const HALT_COLUMNS: Column[] = [
  { field: "reason", title: "Why", hint: "Why trading halts", show: asText, text: true, priority: 1 },
  column("halted_since", "Since", "Begin of the halt, US/Eastern", time, { priority: 1 }),
  column("lower_band", "Lower", "Lower price band (LULD), US dollars", dollars, { priority: 2 }),
  column("upper_band", "Upper", "Upper price band (LULD), US dollars", dollars, { priority: 2 }),
];

/** Kinds of alerts, as they are called on the page. */
export const ALERT_KINDS: Record<string, string> = {
  new_high: "New high", new_low: "New low", halt: "Halt", resumption: "Resumption",
  volume_spike: "Volume spike", gap_up: "Gap up", gap_down: "Gap down",
};

/** The columns of alerts. */
export const ALERT_COLUMNS: Column[] = [
  column("timestamp", "Time", "When it was raised, US/Eastern", time, { priority: 1 }),
  { field: "kind", title: "Alert", hint: "What it is about", show: (value) => ALERT_KINDS[String(value)] ?? asText(value), text: true, priority: 1 },
  { ...column("value", "Value", "Price, multiple of the average volume, or change", dollars, { priority: 1 }), value: alertValue, show: asText },
  { field: "note", title: "Note", hint: "What was reached; late: by a bar that came after later ones", show: asText, value: alertNote, needs: ["note", "late"], text: true, priority: 3 },
];

function alertNote(row: Row): string {
  const note = String(row["note"] ?? "");
  return row["late"] === true ? `Late print${note ? `: ${note}` : ""}` : note;
}

function alertValue(row: Row): string | null {
  const value = number(row, "value");
  if (value === null) return null;
  const kind = String(row["kind"]);
  if (kind === "volume_spike") return times(value);
  return kind.startsWith("gap") ? signed(kind === "gap_down" ? -Math.abs(value) : value, "%") : price(value);
}

/** A column's value in a row. */
export function valueOf(column: Column, row: Row): Value {
  if (column.value) return column.value(row);
  const value = row[column.field];
  return typeof value === "number" || typeof value === "string" ? value : null;
}

/** The columns of these names, in the names' order; unknown names are left out. */
export function pick(all: Column[], names: string[]): Column[] {
  return names.flatMap((name) => all.find((each) => each.field === name) ?? []);
}

/** The fields of a row that columns need. */
export function fieldsOf(columns: Column[]): string[] {
  return columns.flatMap((each) => each.needs ?? [each.field]);
}
