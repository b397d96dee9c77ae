"""Whether the processes that `up` started work, by what each answers: one that is alive may stand still."""

import asyncio
from collections.abc import Mapping

import httpx

from app import clock

#: An answer may take this long (s).
ANSWER_WITHIN_S = 1.0

#: One that has not answered for this long does not work (s): a busy machine holds an answer up for a second.
SILENT_AFTER_S = 3.0


class Working:
    """Asks each process whether it is ready, again and again."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(timeout=ANSWER_WITHIN_S, trust_env=False)
        #: Per process: its id, when it last answered, and what it said amiss.
        self._known: dict[str, tuple[int, float, str | None]] = {}

    async def look(self, urls: Mapping[str, str], pids: Mapping[str, int | None]) -> dict[str, str]:
        """What is amiss with each that does not work, by its name; those that are not asked are left out."""
        asked = {name: pid for name, pid in pids.items() if name in urls and pid is not None}
        self._known = {name: known for name, known in self._known.items() if asked.get(name) == known[0]}
        await asyncio.gather(*(self._ask(name, pid, urls[name]) for name, pid in asked.items()))
        now_s, amiss = clock.monotonic_s(), {}
        for name, (_, answered_s, said) in self._known.items():
            silent_s = now_s - answered_s
            trouble = f"has not answered for {silent_s:.0f} s" if silent_s >= SILENT_AFTER_S else said
            if trouble is not None:
                amiss[name] = trouble
        return amiss | {name: "ended" for name, pid in pids.items() if pid is None}

    async def _ask(self, name: str, pid: int, url: str) -> None:
        try:
            answer = await self._http.get(f"{url}/readyz")
            reasons = answer.json().get("reasons", [])
        except (httpx.HTTPError, ValueError, AttributeError):
            # Before its first answer it starts, which is told apart from one that has stopped to answer.
            self._known.setdefault(name, (pid, clock.monotonic_s(), "starting"))
            return
        self._known[name] = pid, clock.monotonic_s(), "; ".join(reasons) or None

    async def close(self) -> None:
        """Close the client."""
        await self._http.aclose()
