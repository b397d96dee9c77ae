"""One module a feature: read a batch, call the market's rules, write a table."""
