"""The explorer: micrographs with their picks, to look at and to edit, in JupyterLab or as a page of its own.

One JavaScript module, ``explorer.js``, serves both. `contents` prepares what it shows, `standalone` makes the page, and
`widget` is its home in JupyterLab.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["contents"],
    submod_attrs={"standalone": ["Page"], "widget": ["Explorer", "explore"]},
)
