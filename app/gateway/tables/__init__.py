"""What the gateway knows: the public tables, read from their topics."""
