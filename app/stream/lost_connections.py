"""A connection that uvloop has closed is a lost one, as it is with asyncio's own loop.

uvloop raises `RuntimeError` where a request is written to a connection that was lost a moment ago and whose loss
nobody was told of yet. aiokafka repeats what fails with Kafka's errors; this one ended a fetcher for good, and whoever
asked with it.
"""

from typing import Any

from aiokafka.errors import KafkaConnectionError, KafkaError


def take_for_lost(client: Any) -> None:
    """Have an `AIOKafkaClient` raise `KafkaConnectionError` for a connection that is closed, from now on."""
    send = client.send

    async def sent(node_id: Any, request: Any, **options: Any) -> Any:
        try:
            return await send(node_id, request, **options)
        except KafkaError:
            raise  # It is a `RuntimeError` too.
        except RuntimeError as error:
            raise KafkaConnectionError(str(error)) from error

    client.send = sent
