"""The gateway: the public tables to clients over WebSocket, event stream and REST."""
