"""What papers say of the layers of their networks, held against the networks."""

from __future__ import annotations

import pandas as pd

from cryokit.networks.describe import layers


def assert_as_published(
    network, shapes: dict[str, tuple[int, ...]], counts: dict[str, int], size: tuple[int, int] | None = None
) -> pd.DataFrame:
    """Check the outputs' shapes and the numbers of parameters of layers by their names; return the table of all."""
    table = layers(network, size).set_index("name")
    assert table.loc[list(shapes), "output_shape"].to_dict() == shapes
    assert table.loc[list(counts), "parameters"].to_dict() == counts
    return table
