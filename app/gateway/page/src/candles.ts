// Candles from prints: open, high, low, close and volume of equal spans of time.

export interface Print { ms: number; price: number; size: number }

/** `time` is the begin in epoch seconds; prices in US dollars, volume in shares. */
export interface Candle { time: number; open: number; high: number; low: number; close: number; volume: number }

/** Candles by their begin; prints may come in any order, the close is that of the latest. */
export class Candles {
  private readonly spans = new Map<number, Candle & { firstMs: number; lastMs: number }>();

  constructor(readonly seconds: number) {}

  /** Take a print; the candle that it changed. */
  add({ ms, price, size }: Print): Candle {
    const time = Math.floor(ms / 1000 / this.seconds) * this.seconds;
    let candle = this.spans.get(time);
    if (!candle) {
      candle = { time, open: price, high: price, low: price, close: price, volume: 0, firstMs: ms, lastMs: ms };
      this.spans.set(time, candle);
    }
    candle.high = Math.max(candle.high, price);
    candle.low = Math.min(candle.low, price);
    candle.volume += size;
    if (ms < candle.firstMs) Object.assign(candle, { open: price, firstMs: ms });
    if (ms >= candle.lastMs) Object.assign(candle, { close: price, lastMs: ms });
    return candle;
  }

  /** The candles, oldest first. */
  list(): Candle[] {
    return [...this.spans.values()].sort((one, other) => one.time - other.time)
      .map(({ time, open, high, low, close, volume }) => ({ time, open, high, low, close, volume }));
  }
}
