// One WebSocket for the whole page: envelopes, heartbeat, reconnect with back-off, subscriptions repeated.

import type { Message } from "./rows";

export type Phase = "connecting" | "connected" | "reconnecting" | "refused";

/** What a subscription asks for beside its feed. */
export interface Wanted {
  limit?: number;
  fields?: string[];
  max_rate?: number;
  mode?: "state" | "delta";
}

interface Subscription {
  wanted: Wanted;
  listener: (message: Message) => void;
  /** Where the subscriber stands, so that it is sent only what it missed. */
  position: () => { epoch: string; offset: number } | null;
}

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;
const HEARTBEAT_MS = 10_000;
/** From this code on the gateway would refuse again: do not come back by yourself. */
const FINAL_CODE = 4500;

/** The connection; `onPhase` hears of every change of its phase. */
export class Socket {
  phase: Phase = "connecting";
  retryAt: number | null = null;
  onPhase: () => void = () => {};
  private socket: WebSocket | null = null;
  private subscriptions = new Map<string, Subscription>();
  private retryMs = FIRST_RETRY_MS;
  private retryTimer = 0;
  private heartbeat = 0;
  private heard = 0;

  constructor(private readonly key: () => string | null) {
    window.addEventListener("online", () => this.retryNow());
  }

  /** Connect, or connect again at once. */
  retryNow(): void {
    if (this.phase === "connected") return;
    window.clearTimeout(this.retryTimer);
    this.socket?.close();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    this.socket = socket;
    socket.onopen = () => this.opened(socket);
    socket.onmessage = (event) => this.received(socket, String(event.data));
    socket.onclose = (event) => this.closed(socket, event.code);
  }

  /** Follow a feed; one subscription for each feed. */
  subscribe(feed: string, wanted: Wanted, listener: Subscription["listener"], position: Subscription["position"] = () => null): void {
    this.subscriptions.set(feed, { wanted, listener, position });
    this.request(feed);
  }

  /** Stop following a feed. */
  unsubscribe(feed: string): void {
    if (this.subscriptions.delete(feed)) this.send({ action: "unsubscribe", feed });
  }

  /** Ask for a feed's state anew. */
  again(feed: string): void {
    this.request(feed, false);
  }

  private opened(socket: WebSocket): void {
    if (socket !== this.socket) return;
    this.retryMs = FIRST_RETRY_MS;
    this.send({ action: "auth", api_key: this.key() ?? "" });
    for (const feed of this.subscriptions.keys()) this.request(feed);
    this.heard = performance.now();
    this.heartbeat = window.setInterval(() => this.beat(socket), HEARTBEAT_MS);
  }

  private received(socket: WebSocket, text: string): void {
    if (socket !== this.socket) return;
    this.heard = performance.now();
    const message = JSON.parse(text);
    if (message.status === "authorized") this.enter("connected");
    else if (typeof message.feed === "string" && message.status === undefined) {
      this.subscriptions.get(message.feed)?.listener(message as Message);
    }
  }

  private closed(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    window.clearInterval(this.heartbeat);
    this.socket = null;
    if (code >= FINAL_CODE && code < 5000) {
      this.enter("refused");
      return;
    }
    // Jitter: a gateway that restarts is not met by all its clients in the same moment.
    const wait = this.retryMs * (0.8 + 0.4 * Math.random());
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
    this.retryAt = Date.now() + wait;
    this.retryTimer = window.setTimeout(() => this.retryNow(), wait);
    this.enter("reconnecting");
  }

  private beat(socket: WebSocket): void {
    // A connection that is dead without having been closed (sleep, lost network) answers no ping.
    if (performance.now() - this.heard > 2.5 * HEARTBEAT_MS) socket.close();
    else this.send({ action: "ping" });
  }

  private request(feed: string, resume = true): void {
    const found = this.subscriptions.get(feed);
    if (!found) return;
    const position = resume ? found.position() : null;
    this.send({ action: "subscribe", feed, envelope: true, ...found.wanted, ...position });
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    if (phase === "connected") this.retryAt = null;
    this.onPhase();
  }
}
