// What the gateway says of itself and its data.

import { Observable } from "./observable";
import type { Rest } from "./rest";
import type { VendorFeed } from "./vendor";

const EVERY_MS = 2000;
/** A symbol that has not traded for so long is greyed: event time, so that a replay is not all grey. */
const OLD_ROW_MS = 120_000;

export interface Status {
  ready: boolean;
  reasons: string[];
  /** Why the platform on this machine is about to end. */
  failure: string | null;
  session: string | null;
  /** When the next trading day begins, while the market is closed. */
  opens_ms?: number | null;
  symbols: number;
  newest_event_ms: number | null;
  newest_received_age_s: number | null;
  feed?: VendorFeed | null;
}

/** The gateway's status, asked for every two seconds. */
export class StatusPoll extends Observable {
  status: Status | null = null;
  askedAt = 0;
  /** Why the platform said that it ends: while it is gone, the strip says so. */
  failure: string | null = null;

  constructor(private readonly rest: Rest) {
    super();
  }

  start(): void {
    void this.ask();
    window.setInterval(() => void this.ask(), EVERY_MS);
  }

  /** Rows that ended before (epoch ms) are old; in steps, so that not every answer draws every row. */
  staleBefore(): number | null {
    const newest = this.status?.newest_event_ms ?? null;
    return newest === null ? null : Math.floor((newest - OLD_ROW_MS) / 10_000) * 10_000;
  }

  /** Seconds since the newest data was received, as far as is known. */
  age(): number | null {
    const seconds = this.status?.newest_received_age_s ?? null;
    return seconds === null ? null : seconds + (performance.now() - this.askedAt) / 1000;
  }

  private async ask(): Promise<void> {
    try {
      this.status = await this.rest.get<Status>("/api/status");
      this.failure = this.status.failure;
      this.askedAt = performance.now();
    } catch {
      // The strip shows the connection's own state; an old status would be shown as if it were new.
      this.status = null;
    }
    this.changed();
  }
}
