// Trade windows: where the most shares changed hands in the last trades.

import { fieldsOf, pick, WINDOW_COLUMNS } from "../columns";
import { useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable } from "../observable";
import type { Row } from "../rows";
import { Table } from "../table";
import { TableMenu } from "../tablemenu";
import { searched } from "./board";

const FEED = "tta:all_symbols:widget";
const COLUMNS = ["latest_price", "total_volume", "trade_count", "per_minute", "avg_size", "max_size"];

/** The windows of all symbols, the greatest volume first. */
export function WindowsWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  const change = changer(props);
  const columns = pick(WINDOW_COLUMNS, settings.columns ?? COLUMNS);
  const feed = useFeed(page, FEED, { max_rate: 1 });
  useObservable(page.choices);
  const rows = searched(busiest(feed?.document), page.choices.search).slice(0, settings.rows);
  const count = (feed?.document as { symbol_count?: number } | null)?.symbol_count;
  return (
    <Frame {...props} title="Trade windows" hint="the last 1,000 trades of each symbol"
      count={feed?.waiting ? `${feed.waiting} updates waiting` : count === undefined ? "" : `${rows.length} of ${count.toLocaleString("en-US")}`}
      menu={<TableMenu settings={settings} change={change} columns={WINDOW_COLUMNS} shown={columns} />}>
      <Table label="Trade windows" rows={rows} columns={columns} chosen={settings.columns !== null} ranked sorting={settings.sort ?? null}
        onSort={(sort) => change({ sort })} selected={page.choices.symbol} open={(symbol) => page.open(symbol)} full={settings.full === true} />
      {rows.length === 0 && <p class="empty">{words(page, feed, "No windows yet: they are published every five seconds while there are trades.", "T")}</p>}
    </Frame>
  );
}

let last: { document: unknown; rows: Row[] } = { document: null, rows: [] };

/** The summary's symbols as rows with their place; those whose figures are the same stay the same objects. */
function busiest(document: unknown): Row[] {
  if (document === last.document) return last.rows;
  const symbols = (document as { symbols?: Record<string, Record<string, number>> } | null)?.symbols ?? {};
  const before = new Map(last.rows.map((row) => [row.symbol, row]));
  const rows = Object.entries(symbols)
    .sort(([one, a], [other, b]) => (b["total_volume"] ?? 0) - (a["total_volume"] ?? 0) || (one < other ? -1 : 1))
    .map(([symbol, statistics], index): Row => {
      const row: Row = { ...statistics, symbol, rank: index + 1 };
      const old = before.get(symbol);
      return old && old.rank === row.rank && SHOWN.every((field) => old[field] === row[field]) ? old : row;
    });
  last = { document, rows };
  return rows;
}

const SHOWN = fieldsOf(WINDOW_COLUMNS);
