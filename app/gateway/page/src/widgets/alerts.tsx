// Alerts, newest first; with a sound where one asks for it.

import { useEffect, useRef } from "preact/hooks";
import { ALERT_COLUMNS, ALERT_KINDS, pick } from "../columns";
import { rowsOf, useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable } from "../observable";
import type { Row } from "../rows";
import { chime, unlock } from "../sound";
import { Table } from "../table";
import { TableMenu } from "../tablemenu";
import { searched } from "./board";

const COLUMNS = ALERT_COLUMNS.map((each) => each.field);
const FIELDS = ["key", "symbol", "kind", "timestamp", "value", "note", "late"];
const FALLING = new Set(["new_low", "gap_down", "halt"]);
/** A symbol makes no second sound within this time. */
const COOLDOWN_MS = 30_000;
const keyOf = (row: Row) => String(row["key"] ?? `${row.symbol}/${String(row["kind"])}/${String(row["timestamp"])}`);

/** The newest alerts of all symbols. */
export function AlertsWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  const change = changer(props);
  const hidden = settings.hidden ?? [];
  const columns = pick(ALERT_COLUMNS, settings.columns ?? COLUMNS);
  const feed = useFeed(page, "alerts:latest", { max_rate: 2, fields: FIELDS });
  useObservable(page.choices);
  const all = rowsOf(feed).filter((row) => !hidden.includes(String(row["kind"])));
  const rows = searched(all, page.choices.search).slice(0, settings.rows);
  const fresh = useNews(props, all, feed?.loaded ?? false);
  return (
    <Frame {...props} title="Alerts" hint="newest first" count={feed?.waiting ? `${feed.waiting} updates waiting` : feed?.loaded ? `${rows.length} alerts` : ""}
      menu={(
        <>
          <fieldset>
            <legend>Show</legend>
            {Object.entries(ALERT_KINDS).map(([kind, title]) => (
              <label key={kind}>
                <input type="checkbox" checked={!hidden.includes(kind)}
                  onChange={() => change({ hidden: hidden.includes(kind) ? hidden.filter((each) => each !== kind) : [...hidden, kind] })} />{title}
              </label>
            ))}
          </fieldset>
          <TableMenu settings={settings} change={change} columns={ALERT_COLUMNS} shown={columns} sizes={[10, 25, 50, 100, 200]} />
        </>
      )}>
      <SoundBar {...props} />
      <Table label="Alerts" rows={rows} columns={columns} chosen={settings.columns !== null} ranked={false} sorting={settings.sort ?? null} keyOf={keyOf}
        onSort={(sort) => change({ sort })} selected={page.choices.symbol} open={(symbol) => page.open(symbol)} full={settings.full === true} entered={fresh} />
      {rows.length === 0 && <p class="empty">{all.length ? "No alert matches the search." : words(page, feed, "No alerts yet: they appear as they are raised.")}</p>}
    </Frame>
  );
}

function SoundBar(props: WidgetProps) {
  const { page, placed: { settings } } = props;
  const change = changer(props);
  const toggle = (on: boolean) => {
    if (on) {
      unlock();
      chime(settings.volume ?? 50, true);
    }
    change({ sound: on });
  };
  return (
    <div class="bar-of-sound">
      <label><input type="checkbox" checked={settings.sound === true} onChange={(event) => toggle(event.currentTarget.checked)} />Sound</label>
      <label class="volume">Volume
        <input type="range" min="0" max="100" step="5" value={settings.volume ?? 50} disabled={!settings.sound}
          onChange={(event) => { change({ volume: Number(event.currentTarget.value) }); chime(Number(event.currentTarget.value), true); }} />
      </label>
      {page.choices.muted && settings.sound === true && <span class="hint">all sound is muted (m)</span>}
    </div>
  );
}

/** Tells and sounds what is new, each alert once; the keys of those that came last. */
function useNews({ page, placed: { settings } }: WidgetProps, rows: Row[], loaded: boolean): Map<string, number> {
  const known = useRef<Set<string> | null>(null);
  const sounded = useRef(new Map<string, number>());
  const fresh = useRef(new Map<string, number>());
  useEffect(() => {
    if (!loaded) return;
    const before = known.current;
    known.current = new Set(rows.map(keyOf));
    if (!before) return;
    const now = performance.now();
    const news = rows.filter((row) => !before.has(keyOf(row)));
    if (!news.length) return;
    fresh.current = new Map(news.map((row) => [keyOf(row), now]));
    const first = news[0] as Row;
    page.announcer.say(news.length === 1 ? `${first.symbol}: ${ALERT_KINDS[String(first["kind"])] ?? "alert"}` : `${news.length} new alerts, the newest of ${first.symbol}`);
    if (!settings.sound || page.choices.muted) return;
    const loud = news.find((row) => now - (sounded.current.get(row.symbol) ?? -COOLDOWN_MS) >= COOLDOWN_MS);
    if (!loud) return;
    sounded.current.set(loud.symbol, now);
    chime(settings.volume ?? 50, !FALLING.has(String(loud["kind"])));
  }, [rows[0] ? keyOf(rows[0]) : "", rows.length, loaded]);
  return fresh.current;
}
