"""The vendor's table of trade conditions -> what prints count for in this worker."""

import asyncio

import tables
from app.main import app, settings
from app.reference.conditions import Conditions
from app.reference.opening import open_cache
from app.settings import Source

#: The partition whose owner asks the vendor, once a day.
LEADING_PARTITION = 0

#: Workers look for a newer table this often (s); it changes about once in some years.
LOOK_EVERY_S = 60.0

#: A worker that has just started asks as soon as it knows its partitions.
LOOK_AT_FIRST_S = 1.0


async def learn(conditions: Conditions) -> None:
    """Ask where it is this worker's part, and take the table that is there."""
    if LEADING_PARTITION in tables.trade_tape.folded:
        await conditions.fetch()
    known = await conditions.known()
    if known is not None:
        tables.conditions.replace(known)


@app.task
async def learn_conditions() -> None:
    """Follow the vendor's table; without it the built-in copy holds."""
    if settings.source is Source.NONE and settings.api_key() is None:
        return
    async with open_cache(settings) as cache:
        conditions = Conditions(cache)
        while not app.should_stop:
            await learn(conditions)
            await asyncio.sleep(LOOK_EVERY_S if tables.trade_tape.folded else LOOK_AT_FIRST_S)
