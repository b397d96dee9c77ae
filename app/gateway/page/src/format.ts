// Numbers and times as traders read them; rounding happens here and nowhere before.

const price2 = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const price4 = new Intl.NumberFormat("en-US", { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const price6 = new Intl.NumberFormat("en-US", { minimumFractionDigits: 6, maximumFractionDigits: 6 });
const tiny = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
const tick = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const upTo2 = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const upTo6 = new Intl.NumberFormat("en-US", { maximumFractionDigits: 6 });
const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export const UNKNOWN = "–";

/** The decimals that a price in US dollars needs: a tick is smaller below one dollar. */
export function digitsOf(value: number): 2 | 4 | 6 {
  const size = Math.abs(value);
  return size >= 1 || size === 0 ? 2 : size >= 0.001 ? 4 : 6;
}

/** US dollars with the decimals that the price needs. */
export function price(value: number | null): string {
  if (value === null) return UNKNOWN;
  const digits = digitsOf(value);
  return (digits === 2 ? price2 : digits === 4 ? price4 : price6).format(value);
}

/** A spread in US dollars, as exact as it is. */
export function spread(value: number | null): string {
  return value === null ? UNKNOWN : tick.format(value);
}

/** A signed change with its arrow: colour is never the only sign. Without a unit it is in US dollars, below one as exact as it is. */
export function signed(value: number | null, unit = ""): string {
  if (value === null) return UNKNOWN;
  const dollars = unit || Math.abs(value) >= 1 ? price2 : Math.abs(value) >= 0.0001 ? tick : tiny;
  const arrow = value > 0 ? "▲" : value < 0 ? "▼" : " ";
  return `${arrow} ${value > 0 ? "+" : value < 0 ? "−" : ""}${dollars.format(Math.abs(value))}${unit}`;
}

/** A signed percentage without an arrow, for beside one that has it. */
export function percent(value: number | null): string {
  return signed(value, "%").replace(/^[▲▼ ] /, "");
}

/** Shares with their fractions below 10,000, then 12.3K, 4.5M; where they are asked for in full, all digits. */
export function shares(value: number | null, full = false): string {
  if (value === null) return UNKNOWN;
  if (full || Math.abs(value) < 1) return upTo6.format(value);
  return Math.abs(value) < 10_000 ? upTo2.format(value) : compact.format(value);
}

/** A multiple of the average. */
export function times(value: number | null): string {
  return value === null ? UNKNOWN : `${value >= 100 ? whole.format(value) : price2.format(value)}×`;
}

/** Time of day in US/Eastern. */
export function eastern(ms: number | null): string {
  return ms === null ? UNKNOWN : clock.format(ms);
}

const day = new Intl.DateTimeFormat("en-US", { timeZone: "America/New_York", month: "short", day: "numeric" });

/** Time of day in US/Eastern, with its date where that is not today's. */
export function moment(ms: number | null, now: number = Date.now()): string {
  if (ms === null) return UNKNOWN;
  const date = day.format(ms);
  return date === day.format(now) ? clock.format(ms) : `${date}, ${clock.format(ms)}`;
}

const weekday = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York", weekday: "long", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

/** A moment within the next days: `Monday 04:00`. */
export function comingMoment(ms: number): string {
  return weekday.format(ms).replace(/,? (at )?(?=\d)/, " ");
}

/** How long ago, in words that fit. */
export function age(seconds: number): string {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** The class that colours a sign. */
export function tone(value: number | null): string {
  return value === null || value === 0 ? "flat" : value > 0 ? "up" : "down";
}
