// What is halted now, since when and why.

import { useEffect, useRef } from "preact/hooks";
import { HALT_COLUMNS, pick } from "../columns";
import { age } from "../format";
import { rowsOf, useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable, useTick } from "../observable";
import { number, type Row } from "../rows";
import { Table } from "../table";
import { TableMenu } from "../tablemenu";
import { searched } from "./board";

const COLUMNS = HALT_COLUMNS.map((each) => each.field);

/** The list of halted symbols, newest first. */
export function HaltsWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  const change = changer(props);
  const columns = pick(HALT_COLUMNS, settings.columns ?? COLUMNS);
  const feed = useFeed(page, "scanners:halted", { max_rate: 2 });
  useObservable(page.choices, page.status);
  useTick(1000);
  const rows = searched(rowsOf(feed), page.choices.search).slice(0, settings.rows);
  useAnnounced(props, rows, feed?.loaded ?? false);
  const newest = rows[0] ? number(rows[0], "halted_since") : null;
  const now = page.status.status?.newest_event_ms ?? null;
  const since = newest !== null && now !== null && now >= newest ? `, newest ${age((now - newest) / 1000)} ago` : "";
  return (
    <Frame {...props} title="Halts" hint="of Nasdaq-listed symbols; the vendor tells no others" count={feed?.waiting ? `${feed.waiting} updates waiting` : feed?.loaded ? `${rows.length} halted${since}` : ""}
      menu={<TableMenu settings={settings} change={change} columns={HALT_COLUMNS} shown={columns} />}>
      <Table label="Halts" rows={rows} columns={columns} chosen={settings.columns !== null} ranked={false} sorting={settings.sort ?? null}
        onSort={(sort) => change({ sort })} selected={page.choices.symbol} open={(symbol) => page.open(symbol)} full={settings.full === true} />
      {rows.length === 0 && <p class="empty">{words(page, feed, feed?.loaded ? "Nothing that is listed on Nasdaq is halted. Halts of other symbols are not told by the vendor." : "No word of halts from the gateway yet.", "LULD")}</p>}
    </Frame>
  );
}

function useAnnounced({ page }: WidgetProps, rows: Row[], loaded: boolean): void {
  const known = useRef<Set<string> | null>(null);
  useEffect(() => {
    if (!loaded) return;
    const before = known.current;
    known.current = new Set(rows.map((row) => row.symbol));
    if (!before) return;
    for (const symbol of known.current) if (!before.has(symbol)) page.announcer.say(`${symbol} is halted`);
    for (const symbol of before) if (!known.current.has(symbol)) page.announcer.say(`${symbol} is not halted any more`);
  }, [rows.map((row) => row.symbol).join(), loaded]);
}
