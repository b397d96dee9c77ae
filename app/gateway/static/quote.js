// The panel of one symbol, live while it is open.

import { count, direction, easternTime, percent, price, ratio, whole } from "./format.js";

const GROUPS = [
  ["Today", [
    ["Open", "open", price], ["High", "high", price], ["Low", "low", price], ["VWAP", "vwap", price],
    ["Official open", "official_open_price", price], ["Gap", "pct_open_gap", percent],
    ["Since open", "pct_change_since_open", percent],
  ]],
  ["Volume", [
    ["Shares", "accumulated_volume", whole], ["Dollars", "dollar_volume", count], ["Relative", "relative_volume", ratio],
    ["Average", "avg_volume", count], ["Free float", "free_float", count],
  ]],
  ["Previous day", [
    ["Close", "prev_day_close", price], ["High", "prev_day_high", price], ["Low", "prev_day_low", price],
    ["Volume", "prev_day_volume", count],
  ]],
];

export class QuotePanel {
  #panel; #feed; #symbol = null; #opener = null; #price; #change; #time; #cells = [];

  constructor(panel, feed) {
    this.#panel = panel;
    this.#feed = feed;
    addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  open(symbol) {
    if (symbol === this.#symbol) return;
    if (this.#symbol) this.#feed.unsubscribe(`quote:${this.#symbol}`);
    else this.#opener = document.activeElement;
    this.#symbol = symbol;
    this.#build();
    this.#panel.hidden = false;
    this.#panel.querySelector("button").focus();
    this.#feed.subscribe(`quote:${symbol}`, { max_rate: 4 }, (row) => this.#show(row));
  }

  close() {
    if (!this.#symbol) return;
    this.#feed.unsubscribe(`quote:${this.#symbol}`);
    this.#symbol = null;
    this.#panel.hidden = true;
    this.#opener?.focus();
  }

  #build() {
    const made = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
    const head = made("header", "", "");
    const title = made("h2", "", this.#symbol);
    title.id = "quote-symbol";
    const close = made("button", "", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close the quote");
    close.addEventListener("click", () => this.close());
    head.append(title, close);
    this.#price = made("span", "last", "–");
    this.#change = made("span", "change", "");
    this.#time = made("p", "asof", "No quote yet");
    const line = made("p", "headline", "");
    line.append(this.#price, this.#change);
    this.#cells = [];
    const groups = GROUPS.map(([name, items]) => {
      const list = made("dl", "", "");
      for (const [label, field, show] of items) {
        const value = made("dd", "", "–");
        this.#cells.push([value, field, show]);
        list.append(made("dt", "", label), value);
      }
      const group = made("section", "", "");
      group.append(made("h3", "", name), list);
      return group;
    });
    this.#panel.replaceChildren(head, line, this.#time, ...groups);
  }

  #show(row) {
    if (!row) {
      this.#time.textContent = "This symbol has no quote now";
      return;
    }
    this.#price.textContent = price(row.close);
    this.#change.textContent = percent(row.pct_change);
    this.#change.dataset.direction = direction(row.pct_change);
    this.#time.textContent = `as of ${easternTime(row.end_timestamp)}, trading day ${row.day}`;
    for (const [cell, field, show] of this.#cells) {
      cell.textContent = show(row[field]);
      if (show === percent) cell.dataset.direction = direction(row[field]);
    }
  }
}
