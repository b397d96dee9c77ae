"""What clients follow: hub, channels, scans, deltas, and the queue of a client."""
