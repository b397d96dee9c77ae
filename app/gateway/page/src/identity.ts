// Who is looking: an API key that was typed in, or the gateway's session of a person who signed in.

import { Observable } from "./observable";
import { type Rest, RestError } from "./rest";

const KEY = "tapereader.key";

/** What the gateway says of the session; `token` opens the WebSocket for a while. */
export interface Session {
  signed_in: boolean;
  name: string | null;
  token: string | null;
  login_url: string | null;
}

/** Gets what the page proves itself with. */
export class Identity extends Observable {
  session: Session | null = null;

  constructor(private readonly rest: () => Rest) {
    super();
  }

  key(): string | null {
    return sessionStorage.getItem(KEY);
  }

  /** Use an API key until the tab is closed. */
  setKey(key: string): void {
    sessionStorage.setItem(KEY, key);
  }

  headers(): Record<string, string> {
    const key = this.key();
    return key ? { "X-API-Key": key } : {};
  }

  /** What the first message says of who it is; null where the gateway knows from the handshake, or asks for nothing. */
  async credential(): Promise<object | null> {
    const key = this.key();
    if (key) return { api_key: key };
    await this.ask();
    return this.session?.token ? { token: this.session.token } : null;
  }

  /** Forget who it is, and begin again. */
  async signOut(): Promise<void> {
    try {
      await this.rest().post("/auth/logout", {});
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
    }
    location.reload();
  }

  private async ask(): Promise<void> {
    try {
      this.session = await this.rest().get<Session>("/api/session");
    } catch (error) {
      if (!(error instanceof RestError)) throw error;
      this.session = null;
    }
    this.changed();
  }
}
