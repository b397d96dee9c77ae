// A scanner of one's own: a filter over all symbols, evaluated by the gateway.

import { useEffect, useRef, useState } from "preact/hooks";
import { fieldsOf, pick, QUOTE_COLUMNS } from "../columns";
import { useFeed, words } from "../follow";
import { changer, Frame, type WidgetProps } from "../frame";
import { useObservable } from "../observable";
import type { RestError } from "../rest";
import type { Sorting } from "../settings";
import { Table } from "../table";
import { TableMenu } from "../tablemenu";
import { check, type Fault, type Preset, presets, scanFeed } from "../filters";
import { searched } from "./board";

const COLUMNS = ["close", "pct_change", "accumulated_volume", "relative_volume", "free_float"];

/** The symbols that match the filter now; those that begin to match flash. */
export function ScannerWidget(props: WidgetProps) {
  const { page, placed } = props;
  const { settings } = placed;
  const change = changer(props);
  const filter = settings.filter ?? "";
  const title = settings.title || "Scanner";
  const columns = pick(QUOTE_COLUMNS, settings.columns ?? COLUMNS);
  const fields = [...new Set(["end_timestamp", ...fieldsOf(columns)])].sort();
  const sort = settings.sort ?? { field: "pct_change", falling: true };
  const feed = useFeed(page, filter ? scanFeed(filter, best(sort)) : null, { mode: "delta", filter, sort: best(sort), limit: settings.rows ?? 50, fields, max_rate: 4 });
  useObservable(page.choices, page.status, page.feeds);
  useEffect(() => {
    if (feed) feed.onEnter = (symbols) => page.announcer.say(`${title}: ${symbols.length} new, ${symbols.slice(0, 3).join(", ")}`);
  }, [feed, title]);
  const rows = searched(feed?.rows ?? [], page.choices.search).slice(0, settings.rows);
  return (
    <Frame {...props} title={title} hint={filter} count={feed?.waiting ? `${feed.waiting} updates waiting` : feed?.loaded ? `${rows.length} match` : ""}
      menu={<TableMenu settings={settings} change={change} columns={QUOTE_COLUMNS} shown={columns} />}>
      <FilterForm {...props} />
      <Table label={title} rows={rows} columns={columns} chosen={settings.columns !== null} ranked={false} sorting={sort}
        onSort={(sorting) => change({ sort: sorting })} selected={page.choices.symbol} open={(symbol) => page.open(symbol)} full={settings.full === true}
        entered={feed?.entered ?? new Map()} staleBefore={page.status.staleBefore()} />
      {rows.length === 0 && <p class="empty">{filter ? words(page, feed, "No symbol matches now. Rows appear as soon as one does.") : "Write a filter or choose a preset, then press Enter."}</p>}
    </Frame>
  );
}

/** The gateway's order: of many matching rows those that lead by the shown column are sent. */
function best({ field, falling }: Sorting): string {
  const column = QUOTE_COLUMNS.find((each) => each.field === field);
  if (!column || column.value) return "-pct_change";
  return falling ? `-${field}` : field;
}

/** The filter's text with its presets; what is wrong with it stands below it. */
function FilterForm(props: WidgetProps) {
  const { page, placed } = props;
  const [text, setText] = useState(placed.settings.filter ?? "");
  const [fault, setFault] = useState<Fault | null>(null);
  const [known, setKnown] = useState<Preset[] | string>([]);
  const input = useRef<HTMLInputElement>(null);
  const change = changer(props);
  useEffect(() => setText(placed.settings.filter ?? ""), [placed.settings.filter]);
  useEffect(() => {
    presets(page.rest).then(setKnown, (error: RestError) => setKnown(error.missing ? "This gateway has no presets." : error.message));
  }, [page.connected]);
  const use = async (filter: string, title: string, sort: Sorting | null = placed.settings.sort ?? null) => {
    const found = filter.trim() ? await check(page.rest, filter) : null;
    setFault(found);
    if (!found) change({ filter: filter.trim(), title, sort });
    else if (found.position !== null) input.current?.setSelectionRange(found.position, found.position + 1);
  };
  const id = `filter-${placed.id}`;
  return (
    <form class="filter" onSubmit={(event) => { event.preventDefault(); void use(text, ""); }}>
      <select aria-label="Preset" value="" onChange={(event) => {
        const preset = Array.isArray(known) ? known.find((each) => each.name === event.currentTarget.value) : undefined;
        if (preset) void use(preset.filter, preset.title, { field: preset.sort.replace(/^-/, ""), falling: preset.sort.startsWith("-") });
      }}>
        <option value="">{typeof known === "string" ? known : "Presets"}</option>
        {Array.isArray(known) && known.map((each) => <option key={each.name} value={each.name} title={each.description}>{each.title}</option>)}
      </select>
      <input ref={input} type="text" aria-label="Filter" placeholder="pct_change > 10 and relative_volume > 5" spellcheck={false} autocomplete="off"
        aria-invalid={fault !== null} aria-describedby={fault ? id : undefined} value={text} onInput={(event) => { setText(event.currentTarget.value); setFault(null); }} />
      <button type="submit">Scan</button>
      {fault && (
        <p class="fault" id={id} role="alert">
          {fault.position !== null && <code>{text.slice(Math.max(0, fault.position - 18), fault.position)}<mark>{text.slice(fault.position, fault.position + 12) || "␣"}</mark></code>}
          {fault.message}
        </p>
      )}
    </form>
  );
}
