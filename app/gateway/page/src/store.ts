// What the page knows: boards, status, connection, choices. Components listen; one paint a frame.

import { useEffect, useReducer } from "preact/hooks";
import { DeltaState, type Message, type Row } from "./rows";
import { Socket } from "./socket";

/** Something components can listen to; listeners run at most once a frame. */
export class Observable {
  private listeners = new Set<() => void>();
  private scheduled = false;

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      for (const listener of [...this.listeners]) listener();
    });
  }
}

/** Renders the calling component again whenever one of these changes. */
export function useObservable(...observed: Observable[]): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const stops = observed.map((each) => each.listen(() => again(0)));
    return () => stops.forEach((stop) => stop());
  }, observed);
}

const FIELDS = [
  "rank", "close", "pct_change", "change", "pct_change_since_open", "accumulated_volume", "relative_volume",
  "free_float", "end_timestamp",
];

/** One leaderboard, live. */
export class Board extends Observable {
  readonly feed: string;
  rows: Row[] = [];
  /** Places that a symbol has risen (or fallen) since the last state, with the time it did. */
  moves = new Map<string, { places: number; at: number }>();
  waiting = 0;
  loaded = false;
  private readonly state = new DeltaState();

  constructor(readonly name: string, private readonly socket: Socket, private readonly choices: Choices) {
    super();
    this.feed = `scanners:${name}`;
  }

  /** Follow the board with the chosen number of rows. */
  start(): void {
    const wanted = { mode: "delta" as const, limit: this.choices.rows, fields: FIELDS, max_rate: 4 };
    this.socket.subscribe(this.feed, wanted, (message) => this.take(message), () =>
      this.state.epoch === null ? null : { epoch: this.state.epoch, offset: this.state.offset },
    );
  }

  /** Show what came in while the page was paused. */
  catchUp(): void {
    this.waiting = 0;
    this.show();
  }

  private take(message: Message): void {
    if (!this.state.apply(message)) {
      this.socket.again(this.feed);
      return;
    }
    if (this.choices.paused && this.loaded) {
      this.waiting += 1;
      this.changed();
      return;
    }
    this.show();
  }

  private show(): void {
    const before = new Map(this.rows.map((row) => [row.symbol, row.rank ?? 0]));
    this.rows = this.state.ranked();
    const now = performance.now();
    for (const row of this.rows) {
      const places = (before.get(row.symbol) ?? row.rank ?? 0) - (row.rank ?? 0);
      if (places !== 0) this.moves.set(row.symbol, { places, at: now });
    }
    for (const [symbol, move] of this.moves) if (now - move.at > 4000) this.moves.delete(symbol);
    this.loaded = true;
    this.changed();
  }
}

/** What the gateway says of itself and its data. */
export interface Status {
  ready: boolean;
  reasons: string[];
  session: string | null;
  symbols: number;
  newest_event_ms: number | null;
  newest_received_age_s: number | null;
}

/** The user's choices, kept in the browser. */
export class Choices extends Observable {
  rows = Number(read("rows") ?? 25);
  theme = read("theme") ?? "system";
  filter = "";
  paused = false;
  symbol: string | null = null;

  set<Name extends "rows" | "theme" | "filter" | "paused" | "symbol">(name: Name, value: this[Name]): void {
    (this as Choices)[name] = value as never;
    if (name === "rows" || name === "theme") write(name, String(value));
    this.changed();
  }
}

/** The symbol that is looked at: its row as it changes, and the prices since it was opened. */
export class Detail extends Observable {
  row: Row | null = null;
  prices: { ms: number; price: number }[] = [];
  answered = false;
  private feed: string | null = null;

  constructor(private readonly socket: Socket) {
    super();
  }

  /** Look at a symbol, or at none. */
  open(symbol: string | null): void {
    if (this.feed) this.socket.unsubscribe(this.feed);
    this.row = null;
    this.prices = [];
    this.answered = false;
    this.feed = symbol === null ? null : `quote:${symbol}`;
    if (this.feed) this.socket.subscribe(this.feed, { max_rate: 10 }, (message) => this.take(message));
    this.changed();
  }

  private take(message: Message): void {
    this.row = (message.data ?? null) as Row | null;
    const price = this.row?.close;
    const ms = Number(this.row?.end_timestamp ?? 0);
    if (typeof price === "number" && ms > (this.prices.at(-1)?.ms ?? 0)) this.prices.push({ ms, price });
    if (this.prices.length > 600) this.prices.shift();
    this.changed();
  }
}

/** The gateway's status, asked for every two seconds. */
export class StatusPoll extends Observable {
  status: Status | null = null;
  askedAt = 0;

  constructor(private readonly key: () => string | null) {
    super();
  }

  start(): void {
    void this.ask();
    window.setInterval(() => void this.ask(), 2000);
  }

  private async ask(): Promise<void> {
    const key = this.key();
    try {
      const answer = await fetch("/api/status", {
        headers: key ? { "X-API-Key": key } : {}, signal: AbortSignal.timeout(5000),
      });
      this.status = answer.ok ? ((await answer.json()) as Status) : null;
      this.askedAt = performance.now();
    } catch {
      // The strip shows the connection's own state; an old status would be shown as if it were new.
      this.status = null;
    }
    this.changed();
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`tapereader.${name}`);
  } catch {
    return null;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(`tapereader.${name}`, value);
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}
