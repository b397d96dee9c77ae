// The trust strip: whether what is shown is live, and how old it is.

import { useEffect, useReducer } from "preact/hooks";
import { age, eastern } from "./format";
import type { Socket } from "./socket";
import { type Observable, type StatusPoll, useObservable } from "./store";

/** Data that was received longer ago than this is not called live. */
const STALE_S = 15;

const SESSIONS: Record<string, string> = {
  pre_market: "Pre-market", regular: "Market open", after_hours: "After hours", closed: "Market closed",
};

interface Props {
  socket: Socket;
  connection: Observable;
  poll: StatusPoll;
}

/** Connection, session, newest data; spoken when its state changes, not when its numbers do. */
export function Strip({ socket, connection, poll }: Props) {
  useObservable(connection, poll);
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const timer = window.setInterval(() => again(0), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const { status } = poll;
  const seconds = status?.newest_received_age_s ?? null;
  const old = seconds === null ? null : seconds + (performance.now() - poll.askedAt) / 1000;
  const [look, words] = state(socket, status?.reasons ?? [], old);
  return (
    <div class="strip">
      <span class={`light ${look}`} role="status" data-state={look}><i aria-hidden="true" />{words}</span>
      {look === "lost" && <button type="button" onClick={() => socket.retryNow()}>Retry now</button>}
      <span class="fact"><b>{SESSIONS[status?.session ?? ""] ?? "Session –"}</b></span>
      <span class="fact">Last update <b>{eastern(status?.newest_event_ms ?? null)}</b> ET</span>
      <span class="fact">Data age <b>{old === null ? "–" : age(old)}</b></span>
      <span class="fact wide">Symbols <b>{status?.symbols.toLocaleString("en-US") ?? "–"}</b></span>
    </div>
  );
}

function state(socket: Socket, reasons: string[], old: number | null): [string, string] {
  if (socket.phase === "refused") return ["lost", "Refused"];
  if (socket.phase === "reconnecting") {
    const wait = Math.max(0, Math.ceil(((socket.retryAt ?? 0) - Date.now()) / 1000));
    return ["lost", navigator.onLine ? (wait ? `Connection lost, again in ${wait} s` : "Reconnecting") : "Offline"];
  }
  if (socket.phase === "connecting") return ["waiting", "Connecting"];
  if (reasons.length) return ["stale", reasons[0] ?? "Not ready"];
  if (old === null) return ["waiting", "Connected, no data yet"];
  return old > STALE_S ? ["stale", "Stale: no new data"] : ["live", "Live"];
}
