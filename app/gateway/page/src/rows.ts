// The rows of boards and quotes, and how delta feeds keep them.

/** A quote row, in a board with its rank; prices in US dollars, volumes in shares, null is not known. */
export interface Row {
  symbol: string;
  rank?: number;
  [field: string]: string | number | boolean | null | undefined;
}

/** A live message of the gateway in an envelope. */
export interface Message {
  feed: string;
  epoch: string;
  offset: number;
  data?: Row | Row[] | null;
  snapshot?: Row[];
  delta?: { upsert: Row[]; remove: string[] };
}

/** The state of one delta feed; rows that do not change stay the same objects. */
export class DeltaState {
  rows = new Map<string, Row>();
  epoch: string | null = null;
  offset = 0;

  /** Takes a message; false where one before it is missing, so that a snapshot has to be asked for. */
  apply(message: Message): boolean {
    if (message.snapshot) {
      this.rows = new Map(message.snapshot.map((row) => [row.symbol, row]));
    } else if (message.delta) {
      if (message.epoch !== this.epoch || message.offset > this.offset + 1) return false;
      if (message.offset <= this.offset) return true;
      for (const symbol of message.delta.remove) this.rows.delete(symbol);
      for (const row of message.delta.upsert) this.rows.set(row.symbol, { ...this.rows.get(row.symbol), ...row });
    }
    this.epoch = message.epoch;
    this.offset = message.offset;
    return true;
  }

  /** The rows by rank. */
  ranked(): Row[] {
    return [...this.rows.values()].sort((one, other) => (one.rank ?? 0) - (other.rank ?? 0));
  }
}

/** A number field of a row, null where it is not known. */
export function number(row: Row, field: string): number | null {
  const value = row[field];
  return typeof value === "number" ? value : null;
}
