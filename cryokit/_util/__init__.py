"""What the package itself shares: files written whole, names, wording, prefetching. Nothing a user imports."""
