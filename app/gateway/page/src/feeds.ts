// The feeds that widgets follow: shared by all widgets that want the same, frozen while the page is paused.

import { Observable } from "./observable";
import { DeltaState, type Message, type Row } from "./rows";
import type { Follower, Socket, Wanted } from "./socket";

/** How long a row counts as new, and a change of rank is shown. */
const RECENT_MS = 4000;

/** One feed, live. In mode delta `rows` is its table, else `document` its newest state. */
export class Feed extends Observable implements Follower {
  rows: Row[] = [];
  document: unknown = null;
  /** Places that a symbol has risen (or fallen) lately, with the time it did. */
  readonly moves = new Map<string, { places: number; at: number }>();
  /** When a symbol came in, where that is not long ago. */
  readonly entered = new Map<string, number>();
  /** Symbols that came in since the feed was first loaded, in this order. */
  onEnter: ((symbols: string[]) => void) | null = null;
  waiting = 0;
  loaded = false;
  /** The gateway took the subscription; where nothing came then, there is nothing yet. */
  accepted = false;
  error: string | null = null;
  users = 0;
  private readonly state = new DeltaState();
  private latest: unknown = null;
  private options: Wanted;

  constructor(readonly name: string, wanted: Wanted, private readonly socket: Socket, private readonly paused: () => boolean) {
    super();
    this.options = { ...wanted };
  }

  /** What it asks for: enough for all its widgets. */
  wanted(): Wanted {
    return this.options;
  }

  position(): { epoch: string; offset: number } | null {
    return this.state.epoch === null ? null : { epoch: this.state.epoch, offset: this.state.offset };
  }

  answered(error: string | null): void {
    this.accepted = error === null;
    this.error = error;
    this.changed();
  }

  /** Ask for more where a widget wants more. */
  widen(wanted: Wanted): boolean {
    const wider = union(this.options, wanted);
    if (JSON.stringify(wider) === JSON.stringify(this.options)) return false;
    this.options = wider;
    return true;
  }

  message(message: Message): void {
    this.accepted = true;
    if (this.options.mode !== "delta") this.latest = message.data ?? null;
    else if (!this.state.apply(message)) {
      this.socket.again(this.name);
      return;
    }
    if (this.paused() && this.loaded) {
      this.waiting += 1;
      this.changed();
      return;
    }
    this.show();
  }

  /** Show what came in while the page was paused. */
  catchUp(): void {
    if (!this.waiting) return;
    this.waiting = 0;
    this.show();
  }

  private show(): void {
    if (this.options.mode === "delta") this.showRows();
    else this.document = this.latest;
    this.loaded = true;
    this.changed();
  }

  private showRows(): void {
    const before = new Map(this.rows.map((row) => [row.symbol, row.rank]));
    this.rows = this.state.ranked();
    const now = performance.now();
    const news: string[] = [];
    for (const row of this.rows) {
      const was = before.get(row.symbol);
      if (!before.has(row.symbol) && this.loaded) news.push(row.symbol);
      else if (was !== undefined && was !== null && row.rank && was !== row.rank) {
        this.moves.set(row.symbol, { places: was - row.rank, at: now });
      }
    }
    for (const [symbol, move] of this.moves) if (now - move.at > RECENT_MS) this.moves.delete(symbol);
    for (const [symbol, at] of this.entered) if (now - at > RECENT_MS) this.entered.delete(symbol);
    for (const symbol of news) this.entered.set(symbol, now);
    if (news.length) this.onEnter?.(news);
  }
}

/** All feeds of the page. */
export class Feeds extends Observable {
  paused = false;
  private readonly feeds = new Map<string, Feed>();

  constructor(private readonly socket: Socket) {
    super();
  }

  /** Follow a feed, shared with all that follow the name; `release` it when it is not shown any more. */
  follow(name: string, wanted: Wanted): Feed {
    const found = this.feeds.get(name);
    if (found) {
      found.users += 1;
      if (found.widen(wanted)) this.socket.follow(name, found);
      return found;
    }
    const feed = new Feed(name, wanted, this.socket, () => this.paused);
    feed.users = 1;
    feed.listen(() => this.changed());
    this.feeds.set(name, feed);
    this.socket.follow(name, feed);
    return feed;
  }

  /** A widget does not show the feed any more; the last one ends its subscription. */
  release(feed: Feed): void {
    feed.users -= 1;
    if (feed.users > 0) return;
    this.feeds.delete(feed.name);
    this.socket.leave(feed.name);
  }

  /** Freeze what is shown, or show what came in meanwhile. */
  pause(paused: boolean): void {
    this.paused = paused;
    if (!paused) for (const feed of this.feeds.values()) feed.catchUp();
    this.changed();
  }

  /** How many updates wait for the end of the pause. */
  waiting(): number {
    let sum = 0;
    for (const feed of this.feeds.values()) sum += feed.waiting;
    return sum;
  }
}

function union(one: Wanted, other: Wanted): Wanted {
  const most = (a: number | undefined, b: number | undefined) => (a === undefined || b === undefined ? undefined : Math.max(a, b));
  const merged: Wanted = { ...one };
  delete merged.limit;
  delete merged.fields;
  delete merged.max_rate;
  const limit = most(one.limit, other.limit);
  const rate = most(one.max_rate, other.max_rate);
  if (limit !== undefined) merged.limit = limit;
  if (rate !== undefined) merged.max_rate = rate;
  if (one.fields && other.fields) merged.fields = [...new Set([...one.fields, ...other.fields])].sort();
  return merged;
}
