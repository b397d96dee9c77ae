"""The market's rules: pure functions and values, no framework, no clock."""
