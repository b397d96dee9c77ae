"""What is known of the rest of the platform: what `up` says on this machine, and how far the workers are."""

import asyncio
from collections.abc import Callable
from typing import Self

from aiokafka.errors import KafkaError

from app.background import Background
from app.kafka.access import KafkaAccess
from app.kafka.progress import GroupLook, GroupProgress
from app.observability.running import RunningUp
from app.settings import Settings

#: Time between two looks at the workers' group (s): two requests of a few KB each.
LOOK_S = 2.0


class Platform:
    """Follows the workers as the brokers know them; an async context manager."""

    def __init__(self, settings: Settings, failed: Callable[[Exception], None]) -> None:
        self._up = RunningUp(settings.data_dir)
        self._progress = GroupProgress(KafkaAccess.of(settings), settings.app_id, "gateway-workers")
        #: The newest look; None while Kafka does not say.
        self.latest: GroupLook | None = None
        self._task = Background(
            "platform", self._follow, (KafkaError, OSError, TimeoutError), failed, lambda _: self._forget()
        )

    async def __aenter__(self) -> Self:
        await self._task.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._task.__aexit__()
        await self._progress.close()

    def failure(self) -> str | None:
        """Why the `up` of this machine is about to end; None where it is not, or none runs."""
        return self._up.failure()

    def faults(self) -> list[str]:
        """Why the workers do not work, in a sentence each; empty: they do, as far as is known."""
        return [*self._up.faults(), *(self.latest.standing if self.latest is not None else [])]

    async def _follow(self) -> None:
        while True:
            self.latest = await self._progress.look()
            await asyncio.sleep(LOOK_S)

    def _forget(self) -> None:
        self.latest = None
