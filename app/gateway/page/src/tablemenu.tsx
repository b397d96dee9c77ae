// The settings that all tables have: columns, rows, how figures are written.

import type { Column } from "./columns";
import type { Settings } from "./settings";

interface Props {
  settings: Settings;
  change: (settings: Settings) => void;
  columns: Column[];
  shown: Column[];
  /** How many rows can be asked for. */
  sizes?: number[];
}

export const SIZES = [10, 25, 50, 100, 200, 500];

/** Check boxes and selects in a widget's menu. */
export function TableMenu({ settings, change, columns, shown, sizes = SIZES }: Props) {
  const names = shown.map((each) => each.field);
  const toggle = (field: string) => {
    const next = names.includes(field) ? names.filter((each) => each !== field) : columns.map((each) => each.field).filter((each) => each === field || names.includes(each));
    if (next.length) change({ columns: next });
  };
  return (
    <>
      <label class="line">Rows
        <select value={String(settings.rows)} onChange={(event) => change({ rows: Number(event.currentTarget.value) })}>
          {sizes.map((rows) => <option key={rows} value={String(rows)}>{rows}</option>)}
        </select>
      </label>
      <label class="line">Figures
        <select value={settings.full ? "full" : "short"} onChange={(event) => change({ full: event.currentTarget.value === "full" })}>
          <option value="short">1.2M</option>
          <option value="full">1,234,567</option>
        </select>
      </label>
      <fieldset>
        <legend>Columns</legend>
        {columns.map((column) => (
          <label key={column.field} title={column.hint}>
            <input type="checkbox" checked={names.includes(column.field)} onChange={() => toggle(column.field)} />{column.title}
          </label>
        ))}
        <button type="button" onClick={() => change({ columns: null, sort: null })}>As it was</button>
      </fieldset>
    </>
  );
}
