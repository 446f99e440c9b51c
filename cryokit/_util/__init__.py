"""Shared by the package itself: files written whole, names, wording, checks, prefetching. Nothing a user imports."""
