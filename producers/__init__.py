"""From the feed, a file or the simulator into the raw topics."""
