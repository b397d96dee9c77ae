// Candles from prints: open, high, low, close and volume of equal spans of time.

/** A print and what it counts for by its conditions: shares, high and low, open and close. */
export interface Print { ms: number; price: number; size: number; volume: boolean; highLow: boolean; last: boolean }

/** `time` is the begin in epoch seconds; prices in US dollars, volume in shares. */
export interface Candle { time: number; open: number; high: number; low: number; close: number; volume: number }

/** Candles by their begin; prints may come in any order, the close is that of the latest that may set it. */
export class Candles {
  private readonly spans = new Map<number, Candle & { firstMs: number; lastMs: number }>();

  constructor(readonly seconds: number) {}

  /** Take a print; the candle that it changed, null while that has no price. */
  add({ ms, price, size, volume, highLow, last }: Print): Candle | null {
    const time = Math.floor(ms / 1000 / this.seconds) * this.seconds;
    let candle = this.spans.get(time);
    if (!candle) {
      candle = { time, open: 0, high: -Infinity, low: Infinity, close: 0, volume: 0, firstMs: Infinity, lastMs: -Infinity };
      this.spans.set(time, candle);
    }
    if (volume) candle.volume += size;
    if (highLow && price) Object.assign(candle, { high: Math.max(candle.high, price), low: Math.min(candle.low, price) });
    if (last && price && ms < candle.firstMs) Object.assign(candle, { open: price, firstMs: ms });
    if (last && price && ms >= candle.lastMs) Object.assign(candle, { close: price, lastMs: ms });
    return candle.lastMs === -Infinity ? null : candle;
  }

  /** The candles, oldest first. */
  list(): Candle[] {
    return [...this.spans.values()].filter((each) => each.lastMs !== -Infinity).sort((one, other) => one.time - other.time)
      .map(({ time, open, high, low, close, volume }) => ({ time, open, high, low, close, volume }));
  }
}
