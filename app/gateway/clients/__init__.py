"""One client each: a WebSocket session, an event stream."""
