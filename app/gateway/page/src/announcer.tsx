// What a screen reader is told without asking: one polite region, and not more often than one can listen.

import { Observable, useObservable } from "./observable";

const APART_MS = 5000;
const AT_ONCE = 4;

/** Collects what happened and says it every few seconds at most. */
export class Announcer extends Observable {
  text = "";
  private pending: string[] = [];
  private timer = 0;
  private saidAt = -APART_MS;

  /** Say it soon; of a burst only the first few. */
  say(text: string): void {
    if (!this.pending.includes(text)) this.pending.push(text);
    if (this.timer) return;
    this.timer = window.setTimeout(() => this.speak(), Math.max(150, this.saidAt + APART_MS - performance.now()));
  }

  private speak(): void {
    this.timer = 0;
    this.saidAt = performance.now();
    const more = this.pending.length - AT_ONCE;
    this.text = this.pending.slice(0, AT_ONCE).join(". ") + (more > 0 ? `. And ${more} more.` : "");
    this.pending = [];
    this.changed();
  }
}

/** The region itself. */
export function Spoken({ announcer }: { announcer: Announcer }) {
  useObservable(announcer);
  return <div class="unseen" role="status" aria-live="polite">{announcer.text}</div>;
}
