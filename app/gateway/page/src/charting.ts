// What the page uses of the chart's library, so that the bundle leaves out the rest.

export { CandlestickSeries, ColorType, createChart, HistogramSeries } from "lightweight-charts";
