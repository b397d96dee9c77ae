// Hooks by which widgets follow feeds.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Feed } from "./feeds";
import { useObservable } from "./observable";
import type { Page } from "./page";
import type { Row } from "./rows";
import type { Wanted } from "./socket";
import { Observable } from "./observable";
import { lacking } from "./vendor";

const nothing = new Observable();

/** Follow a feed while the component is there; null for none. */
export function useFeed(page: Page, name: string | null, wanted: Wanted): Feed | null {
  const [feed, setFeed] = useState<Feed | null>(null);
  const key = JSON.stringify(wanted);
  useEffect(() => {
    if (name === null) {
      setFeed(null);
      return undefined;
    }
    const followed = page.feeds.follow(name, wanted);
    setFeed(followed);
    return () => page.feeds.release(followed);
  }, [name, key]);
  useObservable(feed ?? nothing, page.connection);
  return feed !== null && feed.name === name ? feed : null;
}

/** What a widget says where it has nothing to show; `kind` is the vendor's event type that it lives on. */
export function words(page: Page, feed: Feed | null, nothingYet: string, kind = "A"): string {
  if (feed?.error) return `The gateway does not serve this: ${feed.error}`;
  if (!page.connected) return page.socket.phase === "connecting" ? "Connecting …" : "Not connected.";
  if (!feed || !feed.accepted) return "Asking the gateway …";
  return lacking(page.status.status?.feed, kind) ?? nothingYet;
}

/** The document of a feed as a row, null where it is none. */
export function rowOf(feed: Feed | null): Row | null {
  const document = feed?.document;
  return typeof document === "object" && document !== null && !Array.isArray(document) ? (document as Row) : null;
}

/** The document of a feed as rows. */
export function rowsOf(feed: Feed | null): Row[] {
  return Array.isArray(feed?.document) ? (feed.document as Row[]) : [];
}

/** Runs an effect with the newest function, again after `delay_ms` as long as the component is there. */
export function useRepeated(run: () => Promise<void>, delay_ms: number, keys: unknown[]): void {
  const newest = useRef(run);
  newest.current = run;
  useEffect(() => {
    let timer = 0;
    let over = false;
    const round = async () => {
      if (!document.hidden) await newest.current();
      if (!over) timer = window.setTimeout(() => void round(), delay_ms);
    };
    void round();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, keys);
}
