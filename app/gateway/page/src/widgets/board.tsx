// A leaderboard.

import { useEffect } from "preact/hooks";
import { fieldsOf, pick, QUOTE_COLUMNS } from "../columns";
import { useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable } from "../observable";
import type { Row } from "../rows";
import { Table } from "../table";
import { TableMenu } from "../tablemenu";

/** The boards there are: what leads each of them. */
export const BOARDS: Record<string, { title: string; hint: string; columns: string[] }> = {
  top_volume: {
    title: "Top volume", hint: "most shares of the day",
    columns: ["close", "pct_change", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_gappers: {
    title: "Top gappers", hint: "change from the previous close",
    columns: ["close", "pct_change", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_gainers: {
    title: "Top gainers", hint: "change since the open",
    columns: ["close", "pct_change_since_open", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_losers: {
    title: "Top losers", hint: "fall from the previous close",
    columns: ["close", "pct_change", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_relative_volume: {
    title: "Top relative volume", hint: "volume against the average day's",
    columns: ["close", "pct_change", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_open_gaps: {
    title: "Top gaps at the open", hint: "open against the previous close",
    columns: ["close", "pct_open_gap", "accumulated_volume", "relative_volume", "free_float"],
  },
  top_dollar_volume: {
    title: "Top dollar volume", hint: "US dollars of the day",
    columns: ["close", "pct_change", "dollar_volume", "relative_volume", "free_float"],
  },
};

/** A board's entries, live, in its own order or by a column. */
export function BoardWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  const change = changer(props);
  const board = BOARDS[settings.board ?? ""] ?? { title: settings.board ?? "", hint: "", columns: BOARDS["top_volume"]?.columns ?? [] };
  const columns = pick(QUOTE_COLUMNS, settings.columns ?? board.columns);
  const fields = [...new Set(["rank", "end_timestamp", ...fieldsOf(columns)])].sort();
  const feed = useFeed(page, `scanners:${settings.board}`, { mode: "delta", limit: settings.rows ?? 50, fields, max_rate: 4 });
  useObservable(page.choices, page.status, page.feeds);
  useEffect(() => {
    if (feed) feed.onEnter = (symbols) => page.announcer.say(`${board.title}: ${symbols.length} new, ${symbols.slice(0, 3).join(", ")}`);
  }, [feed]);
  const rows = searched(feed?.rows ?? [], page.choices.search).slice(0, settings.rows);
  return (
    <Frame {...props} title={board.title} hint={board.hint} count={feed?.waiting ? `${feed.waiting} updates waiting` : feed?.loaded ? `${rows.length} symbols` : ""}
      menu={(
        <>
          <label class="line">Board
            <select value={settings.board} onChange={(event) => change({ board: event.currentTarget.value, sort: null, columns: null })}>
              {Object.entries(BOARDS).map(([name, each]) => <option key={name} value={name}>{each.title}</option>)}
            </select>
          </label>
          <TableMenu settings={settings} change={change} columns={QUOTE_COLUMNS} shown={columns} />
        </>
      )}>
      <Table label={board.title} rows={rows} columns={columns} chosen={settings.columns !== null} ranked sorting={settings.sort ?? null}
        onSort={(sort) => change({ sort })} selected={page.choices.symbol} open={(symbol) => page.open(symbol)} full={settings.full === true}
        moves={feed?.moves ?? new Map()} entered={feed?.entered ?? new Map()} staleBefore={page.status.staleBefore()} />
      {rows.length === 0 && (
        <p class="empty">
          {feed?.rows.length ? `No symbol on this board matches “${page.choices.search.trim()}”. Enter opens its quote.`
            : words(page, feed, "Nothing ranked yet: rows appear with the first trades of the day.")}
        </p>
      )}
    </Frame>
  );
}

/** The rows whose symbol holds what is searched for, in letters of either case: each is shown under its own name. */
export function searched(rows: Row[], search: string): Row[] {
  const wanted = search.trim().toUpperCase();
  return wanted ? rows.filter((row) => row.symbol.toUpperCase().includes(wanted)) : rows;
}
