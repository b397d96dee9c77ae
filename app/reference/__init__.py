"""Reference data from the vendor's REST API, cached in memory and Redis."""
