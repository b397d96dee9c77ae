"""Filters that day traders ask for by name, over the quote rows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A filter with its name, what it finds, and the order in which its rows are best looked at."""

    name: str
    title: str
    description: str
    filter: str
    sort: str


PRESETS = (
    Preset(
        "five_pillars",
        "Five pillars",
        "Momentum candidates: price 2 to 20, float under 20 million, up 10 %, five times the usual volume.",
        "close between 2 and 20 and free_float < 20M and pct_change >= 10 and relative_volume >= 5",
        "-pct_change",
    ),
    Preset(
        "gap_and_go",
        "Gap and go",
        "Opened 4 % or more above the previous close and trades at or above its open.",
        "pct_open_gap >= 4 and close >= open and accumulated_volume >= 100k and close >= 1",
        "-pct_open_gap",
    ),
    Preset(
        "gap_down",
        "Gap down",
        "Opened 4 % or more below the previous close and trades below its open.",
        "pct_open_gap <= -4 and close < open and accumulated_volume >= 100k and close >= 1",
        "pct_open_gap",
    ),
    Preset(
        "high_volume_runners",
        "High volume runners",
        "Up since the open on at least three times the usual volume, above the day's average price.",
        "pct_change_since_open >= 5 and relative_volume >= 3 and close > aggregate_vwap and close >= 1",
        "-pct_change_since_open",
    ),
    Preset(
        "above_previous_high",
        "Above the previous day's high",
        "Trades above yesterday's high on more than the usual volume.",
        "close > prev_day_high and relative_volume >= 1.5 and accumulated_volume >= 100k",
        "-relative_volume",
    ),
    Preset(
        "below_previous_low",
        "Below the previous day's low",
        "Trades below yesterday's low on more than the usual volume.",
        "close < prev_day_low and relative_volume >= 1.5 and accumulated_volume >= 100k",
        "-relative_volume",
    ),
    Preset(
        "halt_candidates",
        "Halt candidates",
        "A second's range of 3 % or more in a stock that has moved 10 %: near the limits of a volatility halt.",
        "(high - low) / low * 100 >= 3 and (pct_change_since_open >= 10 or pct_change_since_open <= -10)",
        "-relative_volume",
    ),
    Preset(
        "low_float_movers",
        "Low float movers",
        "Float under 10 million shares, up 5 %, and more than a tenth of the float has traded.",
        "free_float < 10M and pct_change >= 5 and accumulated_volume > free_float / 10",
        "-pct_change",
    ),
    Preset(
        "volume_leaders",
        "Volume leaders",
        "A million shares or more, at least twice the usual volume.",
        "accumulated_volume >= 1M and relative_volume >= 2",
        "-accumulated_volume",
    ),
    Preset(
        "dollar_volume_leaders",
        "Dollar volume leaders",
        "A hundred million dollars or more have traded.",
        "dollar_volume >= 100M",
        "-dollar_volume",
    ),
    Preset(
        "reversal_candidates",
        "Reversal candidates",
        "Down 10 % or more on the day, but above the open and the day's average price.",
        "pct_change <= -10 and close > open and close > aggregate_vwap and accumulated_volume >= 100k",
        "pct_change",
    ),
    Preset(
        "penny_movers",
        "Penny movers",
        "Under a dollar, up 20 %, a million shares or more.",
        "close < 1 and pct_change >= 20 and accumulated_volume >= 1M",
        "-pct_change",
    ),
)
