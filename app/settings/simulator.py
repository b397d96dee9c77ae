"""The simulated market and its account."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field


class Plan(StrEnum):
    """The vendor's individual stocks plans, smallest first; the simulated account has one of them."""

    BASIC = "basic"
    STARTER = "starter"
    DEVELOPER = "developer"
    ADVANCED = "advanced"


class SimulatorSettings(BaseModel):
    """The simulated market and its account."""

    symbols: int = Field(500, ge=1, le=12_000, description="Symbols in the simulated market.")
    seed: int = Field(1, description="Seed of the simulated market.")
    speed: float = Field(1.0, gt=0, le=3600, description="Speed of the simulated market's clock.")
    market_start: str = Field(
        "09:25",
        pattern=r"^(((Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d)$",
        description="Time (ET) at which the simulated market starts: `09:25` of the last trading day, `Fri 19:58` of "
        "the last Friday, or `2026-11-25T12:58`.",
    )
    simulator_nights: bool | None = Field(
        None, description="Let nights, weekends and holidays pass as they are; unset: where the start names a weekday."
    )
    simulator_plan: Plan = Field(
        Plan.ADVANCED, description="Plan of the simulated account: which channels and REST endpoints it has."
    )
    simulator_late_bars: bool = Field(
        True, description="Send bars again when a print comes late that belongs to them, as the vendor does."
    )
    simulator_test_symbols: bool = Field(True, description="Have the exchanges' test symbols (ZVZZT) on the tape.")
    simulator_otc: bool = Field(False, description="Let some simulated companies trade over the counter (`otc`).")
    simulator_overnight: bool = Field(
        False, description="Let a simulated trading day begin at 21:00 ET of the evening before."
    )
    simulator_clock_file: Path | None = Field(
        None, description="File that keeps the simulated market's time; a later start goes on there. `up` sets it."
    )
    events_per_s: float = Field(2000.0, gt=0, description="Mean rate of simulated events in the regular session.")
