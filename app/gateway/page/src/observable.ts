// What components listen to: changes are told at most once a frame, and not all in the same one.

import { useEffect, useReducer } from "preact/hooks";

/** What is drawn in a frame ends after so long; the rest waits for the next one. */
const BUDGET_MS = 8;

const queue: Observable[] = [];
let asked = false;

function ask(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame((begin) => drain(Math.max(begin, performance.now())));
}

function drain(begin: number): void {
  const next = queue.shift();
  if (!next) {
    asked = false;
    return;
  }
  next.tell();
  // Components are drawn in microtasks that were queued before this one: the time counts them.
  queueMicrotask(() => {
    if (performance.now() - begin < BUDGET_MS) {
      drain(begin);
      return;
    }
    asked = false;
    if (queue.length) ask();
  });
}

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
    queue.push(this);
    ask();
  }

  /** Run the listeners now. */
  tell(): void {
    this.scheduled = false;
    for (const listener of [...this.listeners]) listener();
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

/** Renders the calling component again every `interval_ms`, for what grows old without a message. */
export function useTick(interval_ms: number): void {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const timer = window.setInterval(() => again(0), interval_ms);
    return () => window.clearInterval(timer);
  }, [interval_ms]);
}
