"""Datasets: what they are, fetching their files, and their micrographs and labels by split.

A dataset is described by a manifest (`cryokit.datasets.manifest`): a YAML file with the address, size and hash of every
file. No file is used before its hash has been verified.
"""

# Imported on first use: listing the datasets needs no network library.
import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "at_hand": ["labelled_pairs", "overview"],
        "dataset": ["CACHE_VARIABLE", "Dataset", "cache_folder", "load"],
        "fetching": ["fetch"],
        "manifest": ["MANIFESTS_VARIABLE", "SPLITS", "DataFile", "Manifest", "available", "find"],
    },
)
