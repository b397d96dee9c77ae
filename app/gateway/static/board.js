// A leaderboard as a table. Rows are kept by symbol and moved, so that focus and flashes stay with them.

import { count, direction, percent, price, ratio } from "./format.js";

const CHANGE = { title: "Change %", field: "pct_change", show: percent, signed: true };
const GAP = { title: "Gap %", field: "pct_open_gap", show: percent, signed: true };
const SINCE_OPEN = { title: "Since open", field: "pct_change_since_open", show: percent, signed: true };
const PRICE = { title: "Price", field: "close", show: price };
const VOLUME = { title: "Volume", field: "accumulated_volume", show: count };
const RELATIVE = { title: "Rel. vol.", field: "relative_volume", show: ratio };

export const BOARDS = [
  { name: "top_volume", title: "Top volume", ranked: VOLUME, columns: [PRICE, CHANGE, VOLUME, RELATIVE] },
  { name: "top_gappers", title: "Top gappers", ranked: GAP, columns: [PRICE, GAP, SINCE_OPEN, VOLUME] },
  { name: "top_gainers", title: "Top gainers", ranked: CHANGE, columns: [PRICE, CHANGE, SINCE_OPEN, VOLUME] },
];
export const FIELDS = [
  "rank", ...new Set(BOARDS.flatMap((board) => board.columns.map((column) => column.field))), "end_timestamp",
];

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Board {
  #spec; #body; #count; #empty; #rows = new Map(); #onPick;

  constructor(spec, onPick) {
    this.#spec = spec;
    this.#onPick = onPick;
    this.element = element("section", "board");
    this.element.dataset.board = spec.name;
    const head = element("header");
    const title = element("h2", "", spec.title);
    title.id = `title-${spec.name}`;
    this.#count = element("span", "count");
    head.append(title, this.#count);
    const scroller = element("div", "scroller");
    const table = element("table");
    table.setAttribute("aria-labelledby", title.id);
    table.append(this.#head());
    this.#body = table.createTBody();
    this.#empty = element("p", "empty", "Waiting for the first rows");
    scroller.append(table, this.#empty);
    this.element.append(head, scroller);
  }

  show(entries, { rows, filter, flash }) {
    const shown = (filter ? entries.filter((entry) => entry.symbol.includes(filter)) : entries).slice(0, rows);
    const gone = new Set(this.#rows.keys());
    shown.forEach((entry, at) => {
      gone.delete(entry.symbol);
      const row = this.#rows.get(entry.symbol) ?? this.#make(entry.symbol);
      this.#fill(row, entry, flash);
      if (this.#body.rows[at] !== row.element) this.#body.insertBefore(row.element, this.#body.rows[at] ?? null);
    });
    for (const symbol of gone) {
      this.#rows.get(symbol).element.remove();
      this.#rows.delete(symbol);
    }
    this.#count.textContent = filter ? `${shown.length} match` : `top ${shown.length}`;
    this.#empty.hidden = shown.length > 0;
    this.#empty.textContent = filter ? `No symbol here contains ${filter}` : "No rows yet";
  }

  #head() {
    const head = element("thead");
    const row = head.insertRow();
    for (const [title, className] of [["#", "rank"], ["Symbol", "symbol"]]) {
      const cell = element("th", className, title);
      cell.scope = "col";
      row.append(cell);
    }
    for (const column of this.#spec.columns) {
      const cell = element("th", column === this.#spec.ranked ? "ranked" : "", column.title);
      cell.scope = "col";
      if (column === this.#spec.ranked) cell.setAttribute("aria-sort", "descending");
      row.append(cell);
    }
    return head;
  }

  #make(symbol) {
    const made = element("tr");
    made.dataset.symbol = symbol;
    const rank = made.insertCell();
    rank.className = "rank";
    const name = element("th", "symbol");
    name.scope = "row";
    const button = element("button", "", symbol);
    button.type = "button";
    name.append(button);
    made.append(name);
    made.addEventListener("click", () => this.#onPick(symbol));
    const cells = this.#spec.columns.map((column) => {
      const cell = made.insertCell();
      if (column === this.#spec.ranked) cell.className = "ranked";
      return cell;
    });
    const row = { element: made, rank, cells, entry: null };
    this.#rows.set(symbol, row);
    return row;
  }

  #fill(row, entry, flash) {
    const before = row.entry;
    row.entry = entry;
    if (!before || before.rank !== entry.rank) {
      row.rank.textContent = entry.rank;
      const moved = before && flash ? (entry.rank < before.rank ? "rose" : "fell") : "";
      row.rank.dataset.moved = moved;
      if (moved) row.rank.title = `${moved} from ${before.rank}`;
    }
    this.#spec.columns.forEach((column, at) => {
      const value = entry[column.field];
      if (before && before[column.field] === value) return;
      const cell = row.cells[at];
      cell.textContent = column.show(value);
      if (column.signed) cell.dataset.direction = direction(value);
      if (before && flash) blink(cell, value >= before[column.field] ? "flash-up" : "flash-down");
    });
  }
}

function blink(cell, className) {
  cell.classList.remove("flash-up", "flash-down");
  // Two names each: changing the class within one frame does not start an animation again.
  requestAnimationFrame(() => cell.classList.add(className));
}
