// The kinds of widgets: what is shown, and how large it begins.

import type { FunctionComponent } from "preact";
import type { WidgetProps } from "./frame";
import type { Kind, Settings } from "./settings";
import { AlertsWidget } from "./widgets/alerts";
import { BOARDS, BoardWidget } from "./widgets/board";
import { HaltsWidget } from "./widgets/halts";
import { ScannerWidget } from "./widgets/scanner";
import { SymbolWidget } from "./widgets/symbol";
import { WindowsWidget } from "./widgets/windows";

export const WIDGETS: Record<Kind, FunctionComponent<WidgetProps>> = {
  board: BoardWidget, windows: WindowsWidget, symbol: SymbolWidget, halts: HaltsWidget, alerts: AlertsWidget, scanner: ScannerWidget,
};

/** What can be added, with its size in columns and rows. */
export interface Offer { title: string; about: string; kind: Kind; w: number; h: number; settings?: Settings }

export const OFFERS: Offer[] = [
  ...Object.entries(BOARDS).map(([board, { title, hint }]): Offer => ({ title, about: hint, kind: "board", w: 6, h: 14, settings: { board } })),
  { title: "Scanner", about: "a filter of your own over all symbols", kind: "scanner", w: 8, h: 14 },
  { title: "Symbol", about: "quote, bid and ask, ranges, chart and tape", kind: "symbol", w: 6, h: 20 },
  { title: "Alerts", about: "new highs and lows, spikes, gaps, halts; with sound", kind: "alerts", w: 6, h: 14 },
  { title: "Halts", about: "what is halted, since when and why", kind: "halts", w: 6, h: 10 },
  { title: "Trade windows", about: "where the last trades were busiest", kind: "windows", w: 8, h: 14 },
];
