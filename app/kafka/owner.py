"""Whose the topics are: the first platform that claims them, until another is told to take them over.

Two platforms with the same topics and different consumer groups would each fold every event into the same tables.
The claims stand in a topic of one partition, so that of two made at the same time all agree on the first.
"""

from collections.abc import Iterable

import msgspec
from aiokafka import TopicPartition

from app import clock
from app.errors import StartupError, TapereaderError, TopicsTaken
from app.kafka.access import KafkaAccess
from app.kafka.admin import admin_client, running_workers
from app.kafka.clients import new_producer
from app.kafka.consuming import consuming
from app.kafka.topics import OWNER, PREFIX
from app.settings import Settings

_PART = TopicPartition(OWNER.name, 0)


class Claim(msgspec.Struct, frozen=True):
    """A claim of the topics: by whose consumer group, when, and whether an earlier one is to end."""

    app_id: str
    claimed_ms: int
    takes_over: bool = False


def owner_of(claims: Iterable[Claim]) -> str | None:
    """The app id to which claims in their order give the topics; None where there is none."""
    owner = None
    for claim in claims:
        if owner is None or claim.takes_over:
            owner = claim.app_id
    return owner


def predecessors_in(claims: Iterable[Claim]) -> frozenset[str]:
    """The app ids whose tables the owner has: those that were told to end."""
    found: list[str] = []
    for claim in claims:
        if not found or claim.takes_over:
            found.append(claim.app_id)
    return frozenset(found) - frozenset(found[-1:])


async def claim_topics(settings: Settings) -> frozenset[str]:
    """Make the topics ours where they are nobody's; the app ids whose tables they were before.

    Raises `TopicsTaken`: they are another platform's.
    """
    access = KafkaAccess.of(settings)
    claims = await _claims(access)
    owner = owner_of(claims)
    if owner is None:
        await _write(access, Claim(settings.app_id, clock.wall_ns() // 1_000_000))
        claims = await _claims(access)
        owner = owner_of(claims)
        if owner is None:
            raise StartupError(f"topic {OWNER.name}: expected the claim that was just written, was empty; try again")
    _check(settings, owner)
    return predecessors_in(claims)


async def check_owner(settings: Settings, access: KafkaAccess | None = None) -> None:
    """Raise `TopicsTaken` where the topics are another platform's; that there is no owner yet is no fault.

    An `access` that is there already has its token; each asks for one of its own.
    """
    _check(settings, owner_of(await _claims(access or KafkaAccess.of(settings))))


def _check(settings: Settings, owner: str | None) -> None:
    if owner is not None and owner != settings.app_id:
        raise TopicsTaken(
            f"the topics {PREFIX}* belong to the platform {owner!r}, and this one is {settings.app_id!r} "
            f"(TAPEREADER_APP_ID): give this one topics of its own, such as TAPEREADER_TOPIC_PREFIX="
            f"{settings.app_id}., or let it take these over by `tapereader topics take-over --yes`"
        )


async def take_over(settings: Settings) -> str | None:
    """Make the topics ours; whose they were, None where nobody's.

    Raises `TapereaderError` while workers of the owner run.
    """
    access = KafkaAccess.of(settings)
    owner = owner_of(await _claims(access))
    if owner is not None and owner != settings.app_id and (running := await running_workers(access, owner)):
        raise TapereaderError(f"{running} workers of group {owner} still run; stop them first")
    if owner != settings.app_id:
        await _write(access, Claim(settings.app_id, clock.wall_ns() // 1_000_000, takes_over=True))
    return owner


async def _claims(access: KafkaAccess) -> list[Claim]:
    """All claims in their order. Raises `msgspec.DecodeError` where a record is none."""
    async with admin_client(access) as admin:
        if OWNER.name not in await admin.list_topics():
            return []
    # Not by `seek_to_beginning`: a reset to the end that is under way since `assign` may come after it.
    async with consuming(access, "owner", auto_offset_reset="earliest") as consumer:
        consumer.assign([_PART])
        end = (await consumer.end_offsets([_PART]))[_PART]
        claims: list[Claim] = []
        while await consumer.position(_PART) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                claims += [msgspec.json.decode(record.value, type=Claim) for record in records]
        return claims


async def _write(access: KafkaAccess, claim: Claim) -> None:
    producer = new_producer(access, "owner", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(OWNER.name, msgspec.json.encode(claim), partition=0)
    finally:
        await producer.stop()
