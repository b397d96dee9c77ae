// The page: the strip above, the workspace below it.

import { render } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { Spoken } from "./announcer";
import { Dialogs, type Shown } from "./dialogs";
import { WorkspaceView } from "./grid";
import { useObservable } from "./observable";
import { Page } from "./page";
import { Strip } from "./strip";

const page = new Page();
const { choices, connection, feeds, workspace } = page;

function App() {
  useObservable(choices, connection, page.identity);
  const [shown, setShown] = useState<Shown>(null);
  useKeys(setShown);
  useEffect(() => {
    document.documentElement.dataset["theme"] = choices.theme;
  }, [choices.theme]);
  return (
    <>
      <header class="top">
        <h1><img src="icon.svg" alt="" width="22" height="22" />Tapereader</h1>
        <Strip page={page} />
        <Controls show={setShown} />
        <Person />
      </header>
      <Meanings />
      <Notices />
      <WorkspaceView page={page} />
      <Dialogs page={page} shown={shown} close={() => setShown(null)} />
      <Spoken announcer={page.announcer} />
      {page.socket.phase === "refused" && <KeyForm />}
    </>
  );
}

function Controls({ show }: { show: (shown: Shown) => void }) {
  const search = (event: KeyboardEvent) => {
    const wanted = choices.search.trim();
    if (event.key === "Enter" && wanted) void page.openMeant(wanted);
    if (event.key === "Escape") {
      event.stopPropagation();
      choices.set("search", "");
      (event.currentTarget as HTMLElement).blur();
    }
  };
  return (
    <div class="controls">
      <input id="search" type="search" placeholder="Symbol  /" aria-label="Search a symbol; Enter opens its quote" autocomplete="off" spellcheck={false}
        value={choices.search} onInput={(event) => choices.set("search", event.currentTarget.value)} onKeyDown={search} />
      <PauseButton />
      <button type="button" aria-label="Add widget" onClick={() => show("add")}><span aria-hidden="true">+</span> <span class="word">Add widget</span></button>
      <button type="button" onClick={() => show("layouts")}>Layouts</button>
      <button type="button" class="icon" aria-label={choices.muted ? "Unmute" : "Mute"} aria-pressed={choices.muted} title={`${choices.muted ? "Unmute" : "Mute"} (m)`} onClick={mute}>
        <svg width="16" height="14" viewBox="0 0 16 14" aria-hidden="true"><path d="M1 5h3l4-4v12L4 9H1z" fill="currentColor" />{choices.muted ? <path d="M10.5 4.5l5 5m0-5l-5 5" stroke="currentColor" stroke-width="1.5" /> : <path d="M10.5 4a4.2 4.2 0 010 6M12.8 2a7 7 0 010 10" fill="none" stroke="currentColor" stroke-width="1.4" />}</svg>
      </button>
      <button type="button" class="icon" aria-label={`Theme: ${choices.theme}`} title={`Theme: ${choices.theme}`} onClick={nextTheme}>
        <span aria-hidden="true">{choices.theme === "dark" ? "☾" : choices.theme === "light" ? "☀" : "◐"}</span>
      </button>
      <button type="button" class="icon keys-button" aria-label="Keys" title="Keys (?)" onClick={() => show("help")}><span aria-hidden="true">?</span></button>
    </div>
  );
}

/** Who has signed in, where the gateway asks for it. */
function Person() {
  useObservable(page.identity);
  const { session } = page.identity;
  if (!session?.signed_in || !session.login_url) return null;
  return <span class="person">{session.name} <button type="button" onClick={() => void page.identity.signOut()}>Sign out</button></span>;
}

function PauseButton() {
  useObservable(feeds);
  const waiting = feeds.waiting();
  return (
    <button type="button" class="pause" aria-pressed={feeds.paused} title="Space" onClick={() => page.togglePause()}>
      <span aria-hidden="true">{feeds.paused ? "▶" : "❚❚"}</span> <span class="word-of-pause">{feeds.paused ? "Resume" : "Pause"}</span>
      {waiting > 0 && ` · ${waiting} waiting`}
    </button>
  );
}

/** Which symbols a search may mean, where letters of either case name several. */
function Meanings() {
  useObservable(page.meaning);
  const { text, symbols } = page.meaning;
  if (!symbols.length) return null;
  const take = (symbol: string) => { page.meaning.clear(); page.open(symbol); };
  return (
    <p class="notice" role="alert">There is no symbol “{text}”. Did you mean{" "}
      {symbols.map((symbol) => <button key={symbol} type="button" onClick={() => take(symbol)}>{symbol}</button>)}?{" "}
      <button type="button" onClick={() => page.meaning.clear()}>Close</button>
    </p>
  );
}

/** What came with the page's link. */
function Notices() {
  useObservable(workspace);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    const open = () => workspace.openLink(location.hash).then((fine) => setBroken(!fine));
    void open();
    window.addEventListener("hashchange", open);
    return () => window.removeEventListener("hashchange", open);
  }, []);
  const leave = () => history.replaceState(null, "", location.pathname);
  if (broken) {
    return <p class="notice" role="alert">The link holds no layout that can be read: your own is shown. <button type="button" onClick={() => { leave(); setBroken(false); }}>Close</button></p>;
  }
  if (!workspace.foreign) return null;
  return (
    <p class="notice">This layout came with the link.{" "}
      <button type="button" onClick={() => { workspace.saveAs(unused("From a link")); leave(); }}>Keep it</button>{" "}
      <button type="button" onClick={() => { workspace.show(workspace.current); leave(); }}>Back to mine</button>
    </p>
  );
}

function unused(name: string): string {
  let number = 1;
  while (workspace.names.includes(number === 1 ? name : `${name} ${number}`)) number += 1;
  return number === 1 ? name : `${name} ${number}`;
}

function KeyForm() {
  const [value, setValue] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    page.setKey(value);
  };
  return (
    <form class="key" onSubmit={submit} aria-label="API key">
      <h2>This gateway asks for a key</h2>
      {page.identity.session?.login_url && <p><a class="sign-in" href={`${page.identity.session.login_url}?next=${encodeURIComponent(location.pathname)}`}>Sign in</a> or give an API key.</p>}
      <p>{page.identity.key() ? "The key was not accepted." : "Whoever runs it has set one."} It is kept until this tab is closed.</p>
      <input type="password" aria-label="API key" autocomplete="current-password" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      <button type="submit">Connect</button>
    </form>
  );
}

function mute(): void {
  choices.set("muted", !choices.muted);
}

function nextTheme(): void {
  choices.set("theme", { system: "dark", dark: "light", light: "system" }[choices.theme] ?? "system");
}

/** The headings of the table that has the focus, else of the first one. */
function toHeadings(): void {
  const table = document.activeElement?.closest(".widget")?.querySelector("table") ?? document.querySelector(".widget table");
  table?.querySelector<HTMLElement>("thead button")?.focus();
}

/** Where letters are text. */
const TYPED = "dialog, input:not([type=checkbox], [type=range]), select, textarea";

function useKeys(show: (shown: Shown) => void): void {
  // Not after the first painting: who types at once is heard.
  useLayoutEffect(() => {
    const does: Record<string, () => void> = {
      "/": () => document.getElementById("search")?.focus(), " ": () => page.togglePause(), m: mute, s: toHeadings, "?": () => show("help"),
    };
    const pressed = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPED)) return;
      if (event.key === "Escape") choices.set("symbol", null);
      // Space presses a button or a check box that has the focus, as everywhere.
      const act = event.key === " " && target.closest("button, summary, input") ? undefined : does[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

document.documentElement.dataset["theme"] = choices.theme;
const root = document.getElementById("app");
if (root) render(<App />, root);
page.start();
