// One socket for the whole page: envelopes tell the feeds apart. It comes back by itself.

const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;
const PING_MS = 15_000;
// From this close code on the same would happen again.
const DO_NOT_RETRY = 4500;

export class Feed {
  #url; #onState; #socket = null; #wanted = new Map(); #retryMs = FIRST_RETRY_MS; #heard = 0; #timer = null;

  constructor(url, onState) {
    this.#url = url;
    this.#onState = onState;
    this.#open();
    setInterval(() => this.#ping(), PING_MS);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  subscribe(feed, options, onData) {
    this.#wanted.set(feed, { options, onData });
    this.#send({ action: "subscribe", feed, envelope: true, ...options });
  }

  unsubscribe(feed) {
    this.#wanted.delete(feed);
    this.#send({ action: "unsubscribe", feed });
  }

  #open() {
    this.#timer = null;
    this.#onState("connecting", "");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#heard = performance.now();
      this.#onState("connected", "");
      for (const [feed, { options }] of this.#wanted) this.#send({ action: "subscribe", feed, envelope: true, ...options });
    };
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.#socket && this.#closed(event);
  }

  #receive(message) {
    this.#heard = performance.now();
    this.#retryMs = FIRST_RETRY_MS;
    if (message.status === "error") console.warn("gateway:", message.code, message.message);
    if (message.feed && "data" in message) this.#wanted.get(message.feed)?.onData(message.data);
  }

  #closed(event) {
    if (event.code >= DO_NOT_RETRY) return this.#onState("refused", event.reason);
    const waitMs = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
    this.#onState("reconnecting", event.reason);
    this.#timer = setTimeout(() => this.#open(), waitMs);
  }

  #hurry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #ping() {
    // A link can be dead for minutes before the browser notices.
    if (this.#socket?.readyState === WebSocket.OPEN && performance.now() - this.#heard > 2 * PING_MS) {
      const dead = this.#socket;
      this.#socket = null;
      dead.close();
      return this.#closed({ code: 1006, reason: "no answer" });
    }
    this.#send({ action: "ping" });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}
