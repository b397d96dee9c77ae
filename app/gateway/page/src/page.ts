// What all widgets share: the connection, the feeds, the user's choices, the layout.

import { Announcer } from "./announcer";
import { Feeds } from "./feeds";
import { Identity } from "./identity";
import { read, write } from "./kept";
import { decodeLayout, freePlace, fresh, keepShelf, type Layout, loadShelf, type Placed } from "./layout";
import { Meaning } from "./meaning";
import { Observable } from "./observable";
import { Rest } from "./rest";
import { DEFAULTS, type Kind, type Settings } from "./settings";
import { Socket } from "./socket";
import { StatusPoll } from "./status";

/** The user's choices. */
export class Choices extends Observable {
  theme = read("theme") ?? "system";
  muted = read("muted") === "true";
  search = "";
  symbol: string | null = null;
  /** No symbol was chosen or let go yet. */
  untouched = true;

  set<Name extends "theme" | "muted" | "search" | "symbol">(name: Name, value: this[Name]): void {
    (this as Choices)[name] = value as never;
    if (name === "symbol") this.untouched = false;
    if (name === "theme" || name === "muted") write(name, String(value));
    this.changed();
  }
}

/** The layouts: the shown one, those kept by name, and one that came in a link. */
export class Workspace extends Observable {
  private readonly shelf = loadShelf();
  private linked: Layout | null = null;
  /** Rises when the whole layout is replaced. */
  generation = 0;

  get layout(): Layout {
    return this.linked ?? this.shelf.layouts.get(this.shelf.current) ?? [];
  }

  /** The layout is one of a link that is not kept. */
  get foreign(): boolean {
    return this.linked !== null;
  }

  get current(): string {
    return this.shelf.current;
  }

  get names(): string[] {
    return [...this.shelf.layouts.keys()];
  }

  /** Take the layout of a link's `#layout=…`; false where the link holds one that cannot be read. */
  async openLink(hash: string): Promise<boolean> {
    const part = new URLSearchParams(hash.replace(/^#/, "")).get("layout");
    if (part === null) return true;
    const layout = await decodeLayout(part);
    if (layout) this.replace(layout, true);
    return layout !== null;
  }

  /** Put a widget where its columns and rows are free; its id. */
  add(kind: Kind, w: number, h: number, settings: Settings = {}): string {
    const layout = this.layout;
    const id = fresh(kind, new Set(layout.map((each) => each.id)));
    this.store([...layout, { id, kind, ...freePlace(layout, w, h), w, h, settings: { ...DEFAULTS[kind], ...settings } }]);
    return id;
  }

  remove(id: string): void {
    this.store(this.layout.filter((each) => each.id !== id));
  }

  /** Change settings of a widget. */
  change(id: string, settings: Settings): void {
    this.store(this.layout.map((each) => (each.id === id ? { ...each, settings: { ...each.settings, ...settings } } : each)));
  }

  /** Take over where widgets were put. */
  place(places: Map<string, Pick<Placed, "x" | "y" | "w" | "h">>): void {
    this.store(this.layout.map((each) => ({ ...each, ...places.get(each.id) })));
  }

  /** Show another kept layout. */
  show(name: string): void {
    this.shelf.current = name;
    this.linked = null;
    this.generation += 1;
    this.keep();
  }

  /** Keep the shown layout under a name, which is then the shown one. */
  saveAs(name: string): void {
    this.shelf.layouts.set(name, this.layout);
    this.linked = null;
    this.shelf.current = name;
    this.keep();
  }

  /** Forget a kept layout; the last one stays. */
  forget(name: string): void {
    if (this.shelf.layouts.size < 2) return;
    this.shelf.layouts.delete(name);
    if (this.shelf.current === name) this.show(this.names[0] ?? "");
    else this.keep();
  }

  /** Show a whole layout in place of the shown one; `foreign` ones are kept only when the user says so. */
  replace(layout: Layout, foreign = false): void {
    this.generation += 1;
    if (foreign) {
      this.linked = layout;
      this.changed();
    } else this.store(layout);
  }

  private store(layout: Layout): void {
    if (this.linked) {
      this.linked = layout;
      this.changed();
      return;
    }
    this.shelf.layouts.set(this.shelf.current, layout);
    this.keep();
  }

  private keep(): void {
    keepShelf(this.shelf);
    this.changed();
  }
}

/** One page; widgets get it and nothing else. */
export class Page {
  readonly choices = new Choices();
  readonly connection = new Observable();
  readonly announcer = new Announcer();
  readonly workspace = new Workspace();
  readonly identity: Identity = new Identity(() => this.rest);
  readonly rest = new Rest(() => this.identity.headers());
  readonly status = new StatusPoll(this.rest);
  readonly meaning = new Meaning(this.rest);
  readonly socket = this.makeSocket();
  readonly feeds = new Feeds(this.socket);

  get connected(): boolean {
    return this.socket.phase === "connected";
  }

  /** Use another API key, until the tab is closed. */
  setKey(key: string): void {
    this.identity.setKey(key);
    this.socket.phase = "connecting";
    this.connection.changed();
    this.socket.retryNow();
  }

  /** Look at a symbol: widgets that follow the choice show it; where there is none, one is added. */
  open(symbol: string): void {
    this.choices.set("symbol", symbol);
    const shows = this.workspace.layout.some((each) => each.kind === "symbol" && !each.settings.symbol);
    if (!shows) this.workspace.add("symbol", 8, 16);
  }

  /** Look at the symbol that a typed text means; where there are several the page asks which. */
  async openMeant(text: string): Promise<void> {
    const symbol = await this.meaning.of(text);
    if (symbol !== null) this.open(symbol);
  }

  togglePause(): void {
    this.feeds.pause(!this.feeds.paused);
  }

  start(): void {
    this.socket.retryNow();
    this.status.start();
  }

  private makeSocket(): Socket {
    const socket = new Socket(() => this.identity.credential());
    socket.onPhase = () => this.connection.changed();
    return socket;
  }
}
