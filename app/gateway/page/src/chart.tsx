// The price and volume chart of a symbol; its library is loaded when the first chart is shown.

import type { IChartApi, ISeriesApi, UTCTimestamp } from "lightweight-charts";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Candle, Candles, type Print } from "./candles";
import { digitsOf, eastern, price } from "./format";
import { useObservable } from "./observable";
import type { Page } from "./page";

interface Props {
  page: Page;
  symbol: string;
  /** Known prints; ones that were not there before are added to the chart. */
  prints: Print[];
  candle_s: number;
}

interface Drawn { chart: IChartApi; candles: ISeriesApi<"Candlestick">; volumes: ISeriesApi<"Histogram"> }

/** Candles above, volume below, times in US/Eastern. */
export function Chart({ page, symbol, prints, candle_s }: Props) {
  useObservable(page.choices);
  const host = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let over = false;
    let made: Drawn | null = null;
    import("./charting").then((library) => {
      if (over || !host.current) return;
      made = draw(library, host.current);
      setDrawn(made);
    }, () => setFailed(true));
    return () => {
      over = true;
      made?.chart.remove();
    };
  }, []);
  const theme = page.choices.theme;
  useEffect(() => {
    if (drawn) paint(drawn);
  }, [drawn, theme]);
  const state = useRef<{ key: string; candles: Candles; taken: number } | null>(null);
  useEffect(() => {
    if (!drawn) return;
    const key = `${symbol}/${candle_s}`;
    if (state.current?.key === key && prints.length >= state.current.taken && state.current.taken > 0) {
      const { candles, taken } = state.current;
      for (const print of prints.slice(taken)) {
        const candle = candles.add(print);
        if (candle) update(drawn, candle, candles);
      }
      state.current.taken = prints.length;
      return;
    }
    const candles = new Candles(candle_s);
    for (const print of prints) candles.add(print);
    state.current = { key, candles, taken: prints.length };
    fill(drawn, candles.list());
    drawn.chart.timeScale().resetTimeScale();
  }, [drawn, prints, prints.length, symbol, candle_s]);
  const priced = prints.filter((each) => each.last && each.price);
  const last = priced.at(-1);
  const low = Math.min(...priced.map((each) => each.price));
  const high = Math.max(...priced.map((each) => each.price));
  const digits = last ? digitsOf(last.price) : 2;
  useEffect(() => {
    drawn?.candles.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
  }, [drawn, digits]);
  const words = last ? `${symbol}: ${price(low)} to ${price(high)}, last ${price(last.price)} at ${eastern(last.ms)} ET` : `${symbol}: no trades yet`;
  return (
    <figure class="chart">
      <div class="canvas" role="img" aria-label={`Price and volume of ${words}`} ref={host} data-digits={digits} data-candles={new Set(priced.map((each) => Math.floor(each.ms / 1000 / candle_s))).size} />
      {prints.length === 0 && <p class="empty">{failed ? "The chart could not be loaded." : "The chart begins with the next trades."}</p>}
      <figcaption>Charts: <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">TradingView Lightweight Charts™</a></figcaption>
    </figure>
  );
}

function draw(library: typeof import("./charting"), host: HTMLElement): Drawn {
  const { createChart, CandlestickSeries, HistogramSeries, ColorType } = library;
  const chart = createChart(host, {
    autoSize: true,
    // The library's own logo brings a style sheet of its own, which the page's policy refuses; the link
    // below the chart is the attribution that its licence asks for.
    layout: { attributionLogo: false, background: { type: ColorType.Solid, color: "transparent" }, fontSize: 11 },
    timeScale: { timeVisible: true, secondsVisible: true, tickMarkFormatter: (time: UTCTimestamp) => eastern(time * 1000), rightOffset: 3, barSpacing: 7 },
    localization: { timeFormatter: (time: UTCTimestamp) => `${eastern(time * 1000)} ET`, priceFormatter: (value: number) => price(value) },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.26 } },
  });
  const candles = chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineVisible: true });
  const volumes = chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  volumes.priceScale().applyOptions({ scaleMargins: { top: 0.8, bottom: 0 } });
  return { chart, candles, volumes };
}

/** Takes the colours of the page's theme. */
function paint({ chart, candles }: Drawn): void {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const [up, down, line] = [colour("--up"), colour("--down"), colour("--line")];
  chart.applyOptions({
    layout: { textColor: colour("--muted") },
    grid: { vertLines: { color: line }, horzLines: { color: line } },
    timeScale: { borderColor: line },
  });
  candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
}

function fill({ candles, volumes }: Drawn, list: Candle[]): void {
  candles.setData(list.map((each) => ({ ...each, time: each.time as UTCTimestamp })));
  volumes.setData(list.map(bar));
}

function update(drawn: Drawn, candle: Candle, all: Candles): void {
  try {
    drawn.candles.update({ ...candle, time: candle.time as UTCTimestamp });
    drawn.volumes.update(bar(candle));
  } catch {
    // A print of a time before the last candle: the library takes those only as a whole.
    fill(drawn, all.list());
  }
}

function bar({ time, open, close, volume }: Candle): { time: UTCTimestamp; value: number; color: string } {
  return { time: time as UTCTimestamp, value: volume, color: close >= open ? "rgba(62, 207, 154, 0.4)" : "rgba(255, 116, 129, 0.4)" };
}
