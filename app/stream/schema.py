"""How a topic asks for batches: by this schema.

    app.topic("massive.aggregates", schema=RecordBatchSchema())

An agent of such a topic receives one `RecordBatch` per event. Topics without it go on as Faust
has them.
"""

from collections.abc import Callable
from typing import Any

import faust
from faust.types import AppT

from app.stream.message import BatchMessage


class RecordBatchSchema(faust.Schema):
    """Hands the batch over as it is: nothing is decoded before the agent."""

    def compile(self, app: AppT[Any], **_: Any) -> Callable[..., Any]:
        """The function that the conductor calls for each message of the topic."""
        create_event = app.create_event

        async def decode(message: BatchMessage, *, propagate: bool = False) -> Any:
            return create_event(None, message.batch, {}, message)

        return decode
