"""A simulated market that speaks Massive's WebSocket and REST protocols, for the vendor's own SDK.

`Simulator` runs one on a port, `serve` runs one from the settings until it is told to stop. The
market is seeded: the same seed gives the same events at the same virtual times.
"""

from producers.simulator.luld import HALTED, RESUMED
from producers.simulator.server import DEFAULT_API_KEY, Simulator, serve

__all__ = ["DEFAULT_API_KEY", "HALTED", "RESUMED", "Simulator", "serve"]
