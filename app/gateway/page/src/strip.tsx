// The trust strip: whether what is shown is live, and how old it is.

import { age, comingMoment, moment } from "./format";
import { useObservable, useTick } from "./observable";
import type { Page } from "./page";
import { trouble } from "./vendor";

/** Data that was received longer ago than this is not called live. */
const STALE_S = 15;

const SESSIONS: Record<string, string> = {
  overnight: "Overnight", pre_market: "Pre-market", regular: "Market open", after_hours: "After hours", closed: "Market closed",
};

/** Connection, session, newest data; spoken when its state changes, not when its numbers do. */
export function Strip({ page }: { page: Page }) {
  useObservable(page.connection, page.status);
  useTick(1000);
  const { status } = page.status;
  const old = page.status.age();
  const [look, words, count] = state(page, status?.reasons ?? [], old);
  const session = status?.session ?? "";
  return (
    <div class="strip">
      <span class={`light ${look}`} data-state={look}><i aria-hidden="true" /><span role="status">{words}</span>{count && <span aria-hidden="true"> {count}</span>}</span>
      {look === "lost" && page.socket.phase !== "connected" && <button type="button" onClick={() => page.socket.retryNow()}>Retry now</button>}
      <span class={`fact session ${session}`}><b>{SESSIONS[session] ?? "Session –"}</b>{status?.opens_ms && `, opens ${comingMoment(status.opens_ms)} ET`}</span>
      <span class="fact">Last update <b>{moment(status?.newest_event_ms ?? null)}</b> ET</span>
      <span class="fact">Age <b>{old === null ? "–" : age(old)}</b></span>
      <span class="fact wide">Symbols <b>{status?.symbols.toLocaleString("en-US") ?? "–"}</b></span>
    </div>
  );
}

function state({ socket, status }: Page, reasons: string[], old: number | null): [string, string, string?] {
  if (socket.phase === "refused") return ["lost", "Refused"];
  if (socket.phase === "reconnecting") {
    const wait = Math.max(0, Math.ceil(((socket.retryAt ?? 0) - Date.now()) / 1000));
    const why = status.failure;
    return navigator.onLine ? ["lost", why ?? "Connection lost", wait ? `again in ${wait} s` : "connecting"] : ["lost", "Offline"];
  }
  if (socket.phase === "connecting") return ["waiting", "Connecting"];
  if (reasons.length) return ["stale", reasons[0] ?? "Not ready"];
  const feed = status.status?.feed;
  const away = trouble(feed);
  if (away !== null && (old === null || old > STALE_S)) return ["lost", away];
  if (old === null) return ["waiting", "Connected, no data yet"];
  if (old <= STALE_S) return feed?.late ? ["late", "15 min delayed"] : ["live", "Live"];
  return status.status?.session === "closed" ? ["closed", "Connected, market closed"] : ["stale", "Stale: no new data"];
}
