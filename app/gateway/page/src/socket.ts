// One WebSocket for the whole page: envelopes, heartbeat, reconnect with back-off, subscriptions repeated.

import type { Message } from "./rows";

export type Phase = "connecting" | "connected" | "reconnecting" | "refused";

/** What a subscription asks for beside its feed. */
export interface Wanted {
  limit?: number;
  fields?: string[];
  max_rate?: number;
  mode?: "state" | "delta";
  filter?: string;
  sort?: string;
}

/** Who follows a feed on the socket. */
export interface Follower {
  wanted(): Wanted;
  /** Where it stands, so that it is sent only what it missed; null for the state anew. */
  position(): { epoch: string; offset: number } | null;
  message(message: Message): void;
  /** The gateway took the subscription, or said why not. */
  answered(error: string | null): void;
}

interface Answer {
  status?: string;
  id?: number | string;
  feed?: string;
  message?: string;
  reconnect_after_ms?: number;
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
  private followers = new Map<string, Follower>();
  private asked = new Map<number, string>();
  private requests = 0;
  private retryMs = FIRST_RETRY_MS;
  private retryTimer = 0;
  private heartbeat = 0;
  private heard = 0;
  /** The first message has gone out: others may follow. */
  private greeted = false;

  constructor(private readonly credential: () => Promise<object | null>) {
    window.addEventListener("online", () => this.retryNow());
  }

  /** Connect, or connect again at once. */
  retryNow(): void {
    if (this.phase === "connected") return;
    window.clearTimeout(this.retryTimer);
    window.clearInterval(this.heartbeat);
    this.socket?.close();
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    this.socket = socket;
    this.greeted = false;
    socket.onopen = () => void this.opened(socket);
    socket.onmessage = (event) => this.received(socket, String(event.data));
    socket.onclose = (event) => this.closed(socket, event.code);
  }

  /** Follow a feed, or ask for it with other options. */
  follow(feed: string, follower: Follower): void {
    this.followers.set(feed, follower);
    this.request(feed, follower.position());
  }

  /** Stop following a feed. */
  leave(feed: string): void {
    if (this.followers.delete(feed) && this.greeted) this.send({ action: "unsubscribe", feed });
  }

  /** Ask for a feed's state anew. */
  again(feed: string): void {
    this.request(feed, null);
  }

  private async opened(socket: WebSocket): Promise<void> {
    const credential = await this.credential();
    if (socket !== this.socket || socket.readyState !== WebSocket.OPEN) return;
    // Where nothing is to be shown, any answer tells that the gateway lets the page in.
    this.send(credential ? { action: "auth", ...credential } : { action: "ping" });
    this.greeted = true;
    for (const [feed, follower] of this.followers) this.request(feed, follower.position());
    this.heard = performance.now();
    this.heartbeat = window.setInterval(() => this.beat(socket), HEARTBEAT_MS);
  }

  private received(socket: WebSocket, text: string): void {
    if (socket !== this.socket) return;
    this.heard = performance.now();
    const message = JSON.parse(text) as Message & Answer;
    if (message.status !== undefined) this.answer(message);
    else if (typeof message.feed === "string") this.followers.get(message.feed)?.message(message);
  }

  private answer(answer: Answer): void {
    if (answer.status === "authorized" || (answer.status === "pong" && this.phase !== "connected")) {
      this.retryMs = FIRST_RETRY_MS;
      this.enter("connected");
      return;
    }
    const feed = typeof answer.id === "number" ? this.asked.get(answer.id) : undefined;
    if (feed === undefined) return;
    this.asked.delete(Number(answer.id));
    if (answer.status === "subscribed") this.followers.get(feed)?.answered(null);
    else if (answer.status === "error") this.followers.get(feed)?.answered(answer.message ?? "the gateway refused it");
  }

  private closed(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    window.clearInterval(this.heartbeat);
    this.socket = null;
    this.asked.clear();
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
    // A connection that is dead without having been closed (sleep, lost network) answers no ping, nor a
    // close: what it would do at the end of the browser's patience is done at once.
    if (performance.now() - this.heard > 2.5 * HEARTBEAT_MS) {
      socket.close();
      this.closed(socket, 1006);
    } else this.send({ action: "ping" });
  }

  private request(feed: string, position: { epoch: string; offset: number } | null): void {
    const follower = this.followers.get(feed);
    if (!follower || !this.greeted || this.socket?.readyState !== WebSocket.OPEN) return;
    this.requests += 1;
    this.asked.set(this.requests, feed);
    this.send({ action: "subscribe", id: this.requests, feed, envelope: true, ...follower.wanted(), ...position });
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
