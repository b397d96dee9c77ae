// Everything about one symbol: quote, best bid and offer, ranges of the day, chart, tape.

import { useEffect, useRef, useState } from "preact/hooks";
import { Chart } from "../chart";
import { eastern, moment, percent, price, shares, signed, spread as spreadOf, times, tone, UNKNOWN } from "../format";
import { rowOf, useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable } from "../observable";
import type { Page } from "../page";
import { type Trade, usePrints } from "../prints";
import { number, type Row } from "../rows";
import { lacking } from "../vendor";

const CANDLES: [number, string][] = [[1, "1 s"], [5, "5 s"], [10, "10 s"], [60, "1 min"], [300, "5 min"]];

/** The symbol that is chosen on the page, or a fixed one. */
export function SymbolWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  useObservable(page.choices);
  const chosen = settings.symbol ?? page.choices.symbol;
  const leader = useLeader(page, chosen === null && page.choices.untouched);
  const symbol = chosen ?? leader;
  const change = changer(props);
  return (
    <Frame {...props} title={symbol ?? "Symbol"} hint={settings.symbol ? "fixed" : chosen ? "follows the chosen row" : symbol ? "most shares of the day; choose a row for another" : ""}
      menu={(
        <>
          <FixedSymbol page={page} value={settings.symbol ?? ""} set={(value) => change({ symbol: value })} />
          <label class="line">Candles
            <select value={String(settings.candle_s)} onChange={(event) => change({ candle_s: Number(event.currentTarget.value) })}>
              {CANDLES.map(([seconds, title]) => <option key={seconds} value={String(seconds)}>{title}</option>)}
            </select>
          </label>
        </>
      )}>
      {symbol === null ? <p class="empty">Choose a row of a table, or press / and type a symbol.</p>
        : <Detail key={symbol} page={page} symbol={symbol} candle_s={settings.candle_s ?? 10} />}
    </Frame>
  );
}

/** The symbol with the most shares of the day as this was asked first; null while it is not wanted or not known. */
function useLeader(page: Page, wanted: boolean): string | null {
  const kept = useRef<string | null>(null);
  const feed = useFeed(page, wanted && kept.current === null ? "scanners:top_volume" : null, { mode: "delta", limit: 1 });
  const first = feed?.rows[0]?.symbol;
  if (kept.current === null && typeof first === "string") kept.current = first;
  return wanted ? kept.current : null;
}

function FixedSymbol({ page, value, set }: { page: Page; value: string; set: (value: string | null) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const submit = async (event: Event) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!/^[\w.:/-]{1,20}$/.test(wanted)) return set(null);
    const symbol = await page.meaning.of(wanted);
    if (symbol !== null) set(symbol);
  };
  return (
    <form class="line" onSubmit={(event) => void submit(event)}>
      <label>Always show <input type="text" size={8} value={text} placeholder="the chosen" onInput={(event) => setText(event.currentTarget.value)} /></label>
      <button type="submit">Set</button>
    </form>
  );
}

interface DetailProps { page: Page; symbol: string; candle_s: number }

function Detail({ page, symbol, candle_s }: DetailProps) {
  const quote = useFeed(page, `quote:${symbol}`, { max_rate: 8 });
  const best = useFeed(page, `nbbo:${symbol}`, { max_rate: 8 });
  const range = useFeed(page, `daily_range:${symbol}`, { max_rate: 2 });
  const halt = useFeed(page, `halt:${symbol}`, { max_rate: 2 });
  const tradeWindow = useFeed(page, `tta:${symbol}:widget`, { max_rate: 1 });
  useObservable(page.status);
  const vendor = page.status.status?.feed;
  const row = rowOf(quote);
  const prints = usePrints(page, symbol, row);
  return (
    <div class="detail" data-symbol={symbol} aria-label={`Quote of ${symbol}`} role="group">
      {row ? <Quote row={row} halt={rowOf(halt)} /> : <p class="empty">{words(page, quote, `No quote of ${symbol} yet: it has not traded today, or does not exist.`)}</p>}
      <Best row={rowOf(best)} lack={lacking(vendor, "Q")} />
      <Chart page={page} symbol={symbol} prints={prints.prints} candle_s={candle_s} />
      {row && <Ranges row={rowOf(range)} last={number(row, "close")} />}
      {row && <Facts row={row} />}
      <Flow row={rowOf(tradeWindow)} />
      <Tape trades={prints.trades} fault={prints.fault} asked={prints.asked} lack={lacking(vendor, "T")} />
    </div>
  );
}

function Quote({ row, halt }: { row: Row; halt: Row | null }) {
  const halted = halt ? number(halt, "halted_since") : null;
  const reason = String(halt?.["reason"] ?? "");
  const told = halt?.["halts_told"] !== false;
  const get = (field: string) => number(row, field);
  return (
    <div class="quote">
      <p class="last">{price(get("close"))}</p>
      <div>
        <p class={`change ${tone(get("change"))}`}>{signed(get("change"))} ({percent(get("pct_change"))}) <small>previous close</small></p>
        <p class={`change ${tone(get("change_since_open"))}`}>{signed(get("change_since_open"))} ({percent(get("pct_change_since_open"))}) <small>open</small></p>
        <p class="hint">{eastern(get("end_timestamp"))} ET, {String(row["day"] ?? UNKNOWN)}</p>
      </div>
      {!told && <p class="hint untold">Halts are not told: the vendor tells those of Nasdaq-listed symbols only.</p>}
      {halted !== null && <p class="halted">Halted since {moment(halted)} ET{reason && `: ${reason}`}</p>}
    </div>
  );
}

/** Best bid and offer, and the spread in dollars and of the middle. */
function Best({ row, lack }: { row: Row | null; lack: string | null }) {
  if (!row) return lack && <p class="hint">{lack}</p>;
  const get = (field: string) => number(row, field);
  const [spread, mid] = [get("spread"), get("mid")];
  const share = spread !== null && mid ? `${((spread / mid) * 100).toFixed(2)}%` : UNKNOWN;
  return (
    <dl class="best">
      <div><dt>Bid</dt><dd class="up">{price(get("bid_price"))} <small>× {shares(get("bid_size"))}</small></dd></div>
      <div><dt>Spread</dt><dd>{spreadOf(spread)} <small>{share}</small></dd></div>
      <div><dt>Ask</dt><dd class="down">{price(get("ask_price"))} <small>× {shares(get("ask_size"))}</small></dd></div>
    </dl>
  );
}

const SESSIONS: [string, string][] = [["pre_market", "Pre-market"], ["regular_session", "Regular"], ["after_hours", "After hours"]];

/** The ranges of the day's sessions, and where the last price is in them. */
function Ranges({ row, last }: { row: Row | null; last: number | null }) {
  if (!row) return null;
  const ranges = SESSIONS.map(([name, title]) => ({ title, low: number(row, `${name}_low`), high: number(row, `${name}_high`) }))
    .filter((each): each is { title: string; low: number; high: number } => each.low !== null && each.high !== null);
  return (
    <dl class="ranges">
      {ranges.map(({ title, low, high }) => {
        const place = last === null || high <= low ? null : Math.max(0, Math.min(1, (last - low) / (high - low)));
        return (
          <div key={title}>
            <dt>{title}</dt>
            <dd>
              <span>{price(low)}</span>
              <span class="track" aria-hidden="true">{place !== null && <i style={{ left: `${(place * 100).toFixed(1)}%` }} />}</span>
              <span>{price(high)}</span>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function Facts({ row }: { row: Row }) {
  const get = (field: string) => number(row, field);
  const facts: [string, string][] = [
    ["Volume", shares(get("accumulated_volume"))], ["Relative volume", times(get("relative_volume"))],
    ["Average volume", shares(get("avg_volume"))], ["Float", shares(get("free_float"))],
    ["Dollar volume", shares(get("dollar_volume"))], ["VWAP", price(get("aggregate_vwap"))],
    ["Open", price(get("open"))], ["Previous close", price(get("prev_day_close"))],
    ["Previous high", price(get("prev_day_high"))], ["Previous low", price(get("prev_day_low"))],
  ];
  return <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd class={value === UNKNOWN ? "flat" : ""}>{value}</dd></div>)}</dl>;
}

/** The last trades in figures: their pace, and which side they took. */
function Flow({ row }: { row: Row | null }) {
  const [trades, span] = row ? [number(row, "trade_count"), number(row, "time_span_ms")] : [null, null];
  if (!row || trades === null) return null;
  const rate = number(row, "trades_per_minute") ?? (span ? trades / (span / 60_000) : null);
  const usual = number(row, "relative_trade_rate");
  const [bid, ask] = [number(row, "bid_volume"), number(row, "ask_volume")];
  const bought = bid !== null && ask !== null && bid + ask > 0 ? ask / (bid + ask) : null;
  return (
    <dl class="facts flow-of-trades">
      <div><dt title="Trades a minute, and how many times the usual that is">Trades/min</dt><dd>{rate === null ? UNKNOWN : shares(Math.round(rate), true)}{usual !== null && <small> {times(usual)}</small>}</dd></div>
      <div><dt>Largest</dt><dd>{shares(number(row, "max_size"))}</dd></div>
      {bought !== null && (
        <div class="sides">
          <dt>At bid <b class="down">{shares(bid)}</b></dt>
          <dd class="split" aria-hidden="true"><i style={{ width: `${((1 - bought) * 100).toFixed(1)}%` }} /></dd>
          <dt>At ask <b class="up">{shares(ask)}</b></dt>
        </div>
      )}
    </dl>
  );
}

const TAPE_ROWS = 60;

function Tape({ trades, fault, asked, lack }: { trades: Trade[]; fault: string | null; asked: boolean; lack: string | null }) {
  const shown = trades.slice(0, TAPE_ROWS);
  return (
    <div class="tape" role="region" aria-label="Tape" tabIndex={0}>
      <table>
        <caption>Tape</caption>
        <thead><tr><th scope="col" class="text">Time</th><th scope="col" class="num">Price</th><th scope="col" class="num">Size</th><th scope="col" class="text">Where, conditions</th></tr></thead>
        <tbody>
          {shown.map((each, index) => {
            const look = side(each, trades[index + 1]);
            const what = [each.venue, ...each.conditions].filter(Boolean).join(", ");
            return (
              <tr key={each.key} class={each.last ? "" : "uncounted"} title={[what, counted(each)].filter(Boolean).join("; ")}>
                <td class="text">{eastern(each.ms)}</td>
                <td class={`num ${look}`}>{look === "up" ? "▲ " : look === "down" ? "▼ " : ""}{price(each.price)}{!each.last && <span aria-label="does not set the last price">†</span>}</td>
                <td class="num">{shares(each.size, true)}{!each.volume && <span aria-label="does not count for volume">†</span>}</td>
                <td class="text what">{what}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {shown.length === 0 && <p class="empty">{lack ?? (fault ? `No tape: ${fault}` : asked ? "No trades of this symbol yet." : "Asking for the tape …")}</p>}
    </div>
  );
}

/** In words what a trade does not count for. */
function counted({ volume, highLow, last }: Trade): string {
  if (!volume && !highLow && !last) return "counts for nothing";
  const not = [!volume && "volume", !highLow && "high and low", !last && "the last price"].filter(Boolean);
  return not.length ? `does not count for ${not.join(" and ")}` : "";
}

/** At the ask up, at the bid down, where the gateway says so; else against the trade before. */
function side(trade: Trade, before: Trade | undefined): string {
  if (trade.side === "ask" || trade.side === "buy") return "up";
  if (trade.side === "bid" || trade.side === "sell") return "down";
  return before && before.last && trade.last ? tone(trade.price - before.price) : "flat";
}
