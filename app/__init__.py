"""Tapereader: live scanners over the US-equities tape."""

__version__ = "0.1.0"
