"""Everything that `up` starts and watches on one machine."""
