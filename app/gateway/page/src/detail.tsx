// The panel of one symbol: its quote, and the price since it was opened.

import { eastern, percent, price, shares, signed, times, tone, UNKNOWN } from "./format";
import { number } from "./rows";
import { type Choices, type Detail, useObservable } from "./store";

interface Props {
  detail: Detail;
  choices: Choices;
}

/** Everything that is known of the chosen symbol; nothing where none is chosen. */
export function DetailView({ detail, choices }: Props) {
  useObservable(detail, choices);
  const { symbol } = choices;
  if (symbol === null) return null;
  const row = detail.row ?? { symbol };
  const get = (field: string) => number(row, field);
  const facts: [string, string][] = [
    ["Previous close", price(get("prev_day_close"))], ["Open", price(get("open"))],
    ["Volume", shares(get("accumulated_volume"))], ["Average volume", shares(get("avg_volume"))],
    ["Relative volume", times(get("relative_volume"))], ["Float", shares(get("free_float"))],
    ["VWAP of the day", price(get("aggregate_vwap"))], ["Dollar volume", shares(get("dollar_volume"))],
    ["High, last second", price(get("high"))], ["Low, last second", price(get("low"))],
    ["Previous high", price(get("prev_day_high"))], ["Previous low", price(get("prev_day_low"))],
  ];
  return (
    <aside class="detail" aria-label={`Quote of ${symbol}`} data-symbol={symbol}>
      <header>
        <h2>{symbol}</h2>
        <button type="button" class="icon" aria-label="Close the quote" onClick={() => choices.set("symbol", null)}>✕</button>
      </header>
      {detail.row === null ? <p class="empty">No quote of {symbol} yet.</p> : (
        <>
          <p class="last">{price(get("close"))}</p>
          <p class={`change ${tone(get("change"))}`}>{signed(get("change"))} ({percent(get("pct_change"))}) <small>from the previous close</small></p>
          <p class={`change ${tone(get("change_since_open"))}`}>{signed(get("change_since_open"))} ({percent(get("pct_change_since_open"))}) <small>since the open</small></p>
          <Spark prices={detail.prices.map((each) => each.price)} />
          <dl>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd class={value === UNKNOWN ? "flat" : ""}>{value}</dd></div>)}</dl>
          <p class="hint">Last aggregate {eastern(get("end_timestamp"))} ET, trading day {String(row["day"] ?? UNKNOWN)}</p>
        </>
      )}
    </aside>
  );
}

function Spark({ prices }: { prices: number[] }) {
  if (prices.length < 2) return <p class="spark empty">The line begins with the next trades.</p>;
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const points = prices.map((value, index) => {
    const x = (index / (prices.length - 1)) * 300;
    const y = 58 - ((value - low) / (high - low || 1)) * 54;
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const rising = tone((prices.at(-1) ?? 0) - (prices[0] ?? 0));
  return (
    <svg class={`spark ${rising}`} viewBox="0 0 300 62" preserveAspectRatio="none" role="img" aria-label={`Price since opened: ${price(low)} to ${price(high)}`}>
      <polygon points={`0,62 ${points.join(" ")} 300,62`} />
      <polyline points={points.join(" ")} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
