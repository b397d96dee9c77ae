// The prints of a symbol: its tape from REST, newest first, and what its quote row says between two requests.

import { useRef, useState } from "preact/hooks";
import type { Print } from "./candles";
import { useRepeated } from "./follow";
import type { Page } from "./page";
import { RestError } from "./rest";
import { number, type Row } from "./rows";

const EVERY_MS = 2000;
/** Where there is no tape, ask only now and then whether there is one now. */
const MISSING_EVERY = 8;
const FIRST_LIMIT = 1000;
const NEXT_LIMIT = 200;
const KEPT = 5000;

/** A trade of the tape; price in US dollars, size in shares, `timestamp` in epoch ms. */
export interface Trade extends Print {
  key: string;
  exchange: number | null;
  /** Whether it traded at the ask ("buy") or at the bid ("sell"), where that is known. */
  side: string | null;
  /** Where it was reported, and its conditions, in the vendor's words. */
  venue: string;
  conditions: string[];
}

export interface Prints {
  /** Newest first. */
  trades: Trade[];
  /** For the chart, in the order in which they became known. */
  prints: Print[];
  /** Why there is no tape, null where there is one. */
  fault: string | null;
  asked: boolean;
}

interface Held extends Prints { symbol: string; seen: Set<string>; newestMs: number; rowMs: number }

const empty = (symbol: string): Held => ({
  symbol, trades: [], prints: [], fault: null, asked: false, seen: new Set(), newestMs: 0, rowMs: 0,
});

/** The tape of a symbol while the component is there; frozen while the page is paused. */
export function usePrints(page: Page, symbol: string, row: Row | null): Prints {
  const held = useRef(empty(symbol));
  if (held.current.symbol !== symbol) held.current = empty(symbol);
  const rounds = useRef(0);
  const [, again] = useState(0);
  useRepeated(async () => {
    if (page.feeds.paused && held.current.asked) return;
    rounds.current += 1;
    if (held.current.fault !== null && rounds.current % MISSING_EVERY) return;
    await load(page, held.current);
    again((count) => count + 1);
  }, EVERY_MS, [symbol, page.connected]);
  // Where there is a tape it has every trade; the row's aggregates stand in for it elsewhere.
  if (row && row.symbol === symbol && held.current.asked && !held.current.trades.length) fromRow(held.current, row);
  return held.current;
}

async function load(page: Page, held: Held): Promise<void> {
  try {
    const ask = async (limit: number) => {
      const path = `/api/trades/${encodeURIComponent(held.symbol)}?limit=${limit}`;
      const { trades } = await page.rest.get<{ trades: Record<string, unknown>[] }>(path);
      return trades.map(trade).filter((each): each is Trade => each !== null && !held.seen.has(each.key));
    };
    let news = await ask(held.trades.length ? NEXT_LIMIT : FIRST_LIMIT);
    // All of them are new: there may be others between these and the last ones known.
    if (held.trades.length && news.length >= NEXT_LIMIT) news = await ask(FIRST_LIMIT);
    if (news.length && !held.trades.length) held.prints = [];
    held.trades = [...news, ...held.trades].slice(0, KEPT);
    for (const each of news) held.seen.add(each.key);
    if (held.seen.size > 2 * KEPT) held.seen = new Set(held.trades.map((each) => each.key));
    held.prints.push(...news.reverse());
    held.fault = null;
  } catch (error) {
    if (!(error instanceof RestError)) throw error;
    held.fault = error.message;
  }
  held.asked = true;
}

function trade(raw: Record<string, unknown>): Trade | null {
  const { price, size, timestamp, exchange, trf_id, sequence_number, id, side } = raw;
  if (typeof price !== "number" || typeof timestamp !== "number") return null;
  return {
    key: [exchange, trf_id, id, sequence_number, timestamp, price, size].join("/"),
    ms: timestamp, price, size: typeof size === "number" ? size : 0,
    exchange: typeof exchange === "number" ? exchange : null, side: typeof side === "string" ? side : null,
    // A gateway that does not say what a trade counts for counts it for all.
    volume: raw["counts_volume"] !== false, highLow: raw["sets_high_low"] !== false, last: raw["sets_last"] !== false,
    venue: String(raw["exchange_name"] ?? (exchange ? `exchange ${String(exchange)}` : "")),
    conditions: Array.isArray(raw["condition_names"]) ? raw["condition_names"].map(String) : [],
  };
}

function fromRow(held: Held, row: Row): void {
  const [ms, price] = [number(row, "end_timestamp"), number(row, "close")];
  if (ms === null || price === null || ms <= held.rowMs) return;
  held.rowMs = ms;
  held.prints.push({ ms: ms - 1, price, size: number(row, "volume") ?? 0, volume: true, highLow: true, last: true });
}
