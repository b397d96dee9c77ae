// How a widget can be set, by its kind; what comes from a link or from the browser is checked here.

export const KINDS = ["board", "windows", "symbol", "halts", "alerts", "scanner"] as const;
export type Kind = (typeof KINDS)[number];

export interface Sorting { field: string; falling: boolean }

/** The settings of a widget; each kind has those of its `DEFAULTS`. */
export interface Settings {
  /** Which leaderboard. */
  board?: string;
  /** At most so many rows. */
  rows?: number;
  /** Shown columns by field, in this order; null for the kind's own. */
  columns?: string[] | null;
  sort?: Sorting | null;
  /** Figures in full instead of 1.2M. */
  full?: boolean;
  /** A fixed symbol; null follows the symbol that is chosen on the page. */
  symbol?: string | null;
  /** The filter of a scanner of one's own. */
  filter?: string;
  title?: string;
  sound?: boolean;
  /** 0 to 100. */
  volume?: number;
  /** Kinds of alerts that are left out. */
  hidden?: string[];
  /** Length of a candle in seconds. */
  candle_s?: number;
}

const TABLE: Settings = { rows: 50, columns: null, sort: null, full: false };

export const DEFAULTS: Record<Kind, Settings> = {
  board: { ...TABLE, board: "top_volume" },
  windows: { ...TABLE },
  symbol: { symbol: null, candle_s: 10 },
  halts: { ...TABLE },
  alerts: { ...TABLE, sound: false, volume: 50, hidden: [] },
  scanner: { ...TABLE, filter: "", title: "" },
};

const NAME = /^[\w.:*-]{1,64}$/;
const names = (value: unknown, most: number): value is string[] =>
  Array.isArray(value) && value.length <= most && value.every((each) => typeof each === "string" && NAME.test(each));
const between = (value: unknown, least: number, most: number) => typeof value === "number" && value >= least && value <= most;

const CHECKS: { [Name in keyof Required<Settings>]: (value: unknown) => boolean } = {
  board: (value) => typeof value === "string" && NAME.test(value),
  rows: (value) => Number.isInteger(value) && between(value, 1, 500),
  columns: (value) => value === null || names(value, 40),
  sort: (value) => value === null || sorting(value),
  full: (value) => typeof value === "boolean",
  symbol: (value) => value === null || (typeof value === "string" && /^[\w.-]{1,20}$/.test(value)),
  filter: (value) => typeof value === "string" && value.length <= 2000,
  title: (value) => typeof value === "string" && value.length <= 60,
  sound: (value) => typeof value === "boolean",
  volume: (value) => between(value, 0, 100),
  hidden: (value) => names(value, 20),
  candle_s: (value) => [1, 5, 10, 60, 300].includes(value as number),
};

function sorting(value: unknown): boolean {
  const { field, falling } = (value ?? {}) as Record<string, unknown>;
  return typeof field === "string" && NAME.test(field) && typeof falling === "boolean";
}

export function isKind(value: unknown): value is Kind {
  return (KINDS as readonly unknown[]).includes(value);
}

/** A kind's settings: the given ones where they are valid, else its own. */
export function settingsOf(kind: Kind, given: unknown): Settings {
  const settings: Record<string, unknown> = { ...DEFAULTS[kind] };
  if (typeof given === "object" && given !== null) {
    for (const [name, value] of Object.entries(given)) {
      if (name in settings && CHECKS[name as keyof Settings](value)) settings[name] = value;
    }
  }
  return settings as Settings;
}
