// The page: the boards side by side, the strip above them, the chosen symbol beside them.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { BOARDS, BoardView } from "./board";
import { DetailView } from "./detail";
import { Socket } from "./socket";
import { Board, Choices, Detail, Observable, StatusPoll, useObservable } from "./store";
import { Strip } from "./strip";

const KEY = "tapereader.key";
const key = () => sessionStorage.getItem(KEY);

const choices = new Choices();
const connection = new Observable();
const socket = new Socket(key);
const poll = new StatusPoll(key);
const boards = BOARDS.map((each) => ({ ...each, board: new Board(each.name, socket, choices) }));
const detail = new Detail(socket);

function App() {
  useObservable(choices, connection);
  useKeys();
  useEffect(() => {
    document.documentElement.dataset["theme"] = choices.theme;
  }, [choices.theme]);
  useEffect(() => boards.forEach(({ board }) => board.start()), [choices.rows]);
  useEffect(() => detail.open(choices.symbol), [choices.symbol]);
  const connected = socket.phase === "connected";
  return (
    <>
      <header class="top">
        <h1><img src="icon.svg" alt="" width="24" height="24" />Tapereader</h1>
        <Strip socket={socket} connection={connection} poll={poll} />
        <Controls />
      </header>
      <main class={`${choices.symbol ? "with-detail" : ""} ${connected ? "" : "disconnected"}`}>
        <div class="boards">
          {boards.map((each) => <BoardView key={each.name} {...each} choices={choices} connected={connected} />)}
        </div>
        <DetailView detail={detail} choices={choices} />
      </main>
      {socket.phase === "refused" && <KeyForm />}
    </>
  );
}

function Controls() {
  const search = (event: KeyboardEvent) => {
    const wanted = choices.filter.trim().toUpperCase();
    if (event.key === "Enter" && wanted) choices.set("symbol", wanted);
    if (event.key === "Escape") choices.set("filter", "");
  };
  return (
    <div class="controls">
      <input id="filter" type="search" placeholder="Symbol  /" aria-label="Filter by symbol; Enter opens the quote" autocomplete="off" spellcheck={false}
        value={choices.filter} onInput={(event) => choices.set("filter", event.currentTarget.value)} onKeyDown={search} />
      <label>Rows
        <select value={String(choices.rows)} onChange={(event) => choices.set("rows", Number(event.currentTarget.value))}>
          {[10, 25, 50, 100, 500].map((rows) => <option key={rows} value={String(rows)}>{rows}</option>)}
        </select>
      </label>
      <button type="button" class="pause" aria-pressed={choices.paused} title="Space" onClick={togglePause}>{choices.paused ? "▶ Resume" : "❚❚ Pause"}</button>
      <button type="button" class="icon" aria-label={`Theme: ${choices.theme}`} title={`Theme: ${choices.theme}`} onClick={nextTheme}>
        {choices.theme === "dark" ? "☾" : choices.theme === "light" ? "☀" : "◐"}
      </button>
    </div>
  );
}

function KeyForm() {
  const [value, setValue] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, value);
    socket.phase = "connecting";
    connection.changed();
    socket.retryNow();
  };
  return (
    <form class="key" onSubmit={submit} aria-label="API key">
      <h2>This gateway asks for a key</h2>
      <p>{key() ? "The key was not accepted." : "Whoever runs it has set one."} It is kept until this tab is closed.</p>
      <input type="password" aria-label="API key" autocomplete="current-password" value={value} onInput={(event) => setValue(event.currentTarget.value)} />
      <button type="submit">Connect</button>
    </form>
  );
}

function togglePause(): void {
  choices.set("paused", !choices.paused);
  if (!choices.paused) boards.forEach(({ board }) => board.catchUp());
}

function nextTheme(): void {
  choices.set("theme", { system: "dark", dark: "light", light: "system" }[choices.theme] ?? "system");
}

function useKeys(): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select, button, textarea");
      if (event.key === "Escape") choices.set("symbol", null);
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") document.getElementById("filter")?.focus();
      else if (event.key === " ") togglePause();
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);
}

socket.onPhase = () => connection.changed();
document.documentElement.dataset["theme"] = choices.theme;
const root = document.getElementById("app");
if (root) render(<App />, root);
socket.retryNow();
poll.start();
