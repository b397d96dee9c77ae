// The page: three boards, one socket, and a strip that says how far the data can be trusted.

import { BOARDS, Board, FIELDS } from "./board.js";
import { Feed } from "./feed.js";
import { age, easternTime, session } from "./format.js";
import { QuotePanel } from "./quote.js";

const STALE_MS = 10_000;
// The filter looks through this many ranks; more would cost every page the bandwidth.
const RANKS = 200;
const STATES = {
  connecting: "Connecting", connected: "Live", reconnecting: "Reconnecting", refused: "Refused", stale: "Stale",
};

const find = (id) => document.getElementById(id);
const entries = new Map();
let state = "connecting", reason = "", paused = false, receivedMs = null, eventMs = null;

const feed = new Feed(`${location.origin.replace(/^http/, "ws")}/ws`, (next, why) => {
  state = next;
  reason = why;
  trust();
});
const panel = new QuotePanel(find("quote"), feed);
const boards = new Map(BOARDS.map((spec) => [spec.name, new Board(spec, (symbol) => panel.open(symbol))]));

for (const [name, board] of boards) {
  find("boards").append(board.element);
  feed.subscribe(`scanners:${name}`, { limit: RANKS, fields: FIELDS, max_rate: 4 }, (data) => {
    entries.set(name, data ?? []);
    receivedMs = performance.now();
    for (const entry of data ?? []) if (entry.end_timestamp > (eventMs ?? 0)) eventMs = entry.end_timestamp;
    if (!paused) show(name, true);
    trust();
  });
}

function show(name, flash) {
  const filter = find("filter").value.trim().toUpperCase();
  boards.get(name).show(entries.get(name) ?? [], { rows: Number(find("rows").value), filter, flash });
}

const showAll = () => entries.forEach((_, name) => show(name, false));

function trust() {
  const quietMs = receivedMs === null ? null : performance.now() - receivedMs;
  const shown = state === "connected" && quietMs !== null && quietMs > STALE_MS ? "stale" : state;
  const pill = find("connection");
  if (pill.dataset.state !== shown) {
    pill.dataset.state = shown;
    pill.textContent = STATES[shown];
  }
  document.body.dataset.state = shown;
  find("updated").textContent = easternTime(eventMs);
  find("session").textContent = session(eventMs);
  find("age").textContent = age(quietMs);
  const lost = state === "reconnecting" || state === "refused";
  find("notice").hidden = !(lost || paused);
  if (lost) find("notice").textContent = `Connection lost${reason ? `: ${reason}` : ""}. The rows below are not current.`;
  else if (paused) find("notice").textContent = "Paused. New ranks wait until you resume.";
}

function pause() {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  find("pause").textContent = paused ? "Resume" : "Pause";
  if (!paused) showAll();
  trust();
}

function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
}

theme(localStorage.getItem("theme"));
if (localStorage.getItem("rows")) find("rows").value = localStorage.getItem("rows");
find("theme").addEventListener("click", () => {
  const present = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  const next = present === "light" ? "dark" : "light";
  localStorage.setItem("theme", next);
  theme(next);
});
find("rows").addEventListener("change", () => {
  localStorage.setItem("rows", find("rows").value);
  showAll();
});
find("filter").addEventListener("input", showAll);
find("pause").addEventListener("click", pause);
find("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    find("filter").focus();
  } else if (event.key === "p") pause();
});
setInterval(trust, 500);
