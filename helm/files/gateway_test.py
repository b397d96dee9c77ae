"""Asks a gateway what a client asks: is it ready, does it let us in, subscribe, and answer with a state.

GATEWAY is host:port, TIMEOUT_S the time for all of it, GATEWAY_KEY the key, where one is asked for; SIGN_IN=false:
there is no key to sign in with, that it is ready has to do.
It runs in the pod of `helm test`, from the chart alone.
"""

import json
import os
import sys
import time
import urllib.request

from websockets.sync.client import connect

FEED = "scanners:top_volume"


def wait_ready(gateway: str, deadline_s: float) -> None:
    """Return when the gateway is ready; end the process with its reasons when it is not in time."""
    reasons = "it did not answer"
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://{gateway}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            reasons = error.read().decode(errors="replace")
        except OSError as error:
            reasons = str(error)
        time.sleep(1)
    sys.exit(f"{gateway} is not ready: {reasons}")


def ask(socket, request: dict) -> dict:
    """The answer to a request; states that come in between are left out."""
    socket.send(json.dumps(request | {"id": request["action"]}))
    for _ in range(1000):
        answer = json.loads(socket.recv(timeout=10))
        if isinstance(answer, dict) and answer.get("id") == request["action"]:
            return answer
    sys.exit(f"no answer to {request['action']} in 1,000 messages")


def main() -> None:
    gateway, deadline_s = os.environ["GATEWAY"], time.monotonic() + float(os.environ.get("TIMEOUT_S", "60"))
    wait_ready(gateway, deadline_s)
    if os.environ.get("SIGN_IN") == "false":
        print(f"{gateway}: ready")
        return
    with connect(f"ws://{gateway}/ws", proxy=None) as socket:
        key = os.environ.get("GATEWAY_KEY")
        for request, expected in (
            ({"action": "auth", "api_key": key or ""}, "authorized"),
            ({"action": "subscribe", "feed": FEED}, "subscribed"),
        ):
            answer = ask(socket, request)
            if answer.get("status") != expected:
                sys.exit(f"{request['action']}: expected {expected}, was {answer.get('status')}")
        state = ask(socket, {"action": "get", "cache": FEED, "limit": 1})
        if "data" not in state:
            sys.exit(f"get {FEED}: expected its state, was {state}")
    print(f"{gateway}: ready, signed in, subscribed to {FEED}, state {json.dumps(state['data'])[:200]}")


main()
