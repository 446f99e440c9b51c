"""Teaching and benchmarking kit for particle picking in cryo-electron microscopy.

The way of a micrograph through the package is one straight line: file (`micrograph`) -> array -> picks (`pickers`)
-> file (`coordinates`), compared with the truth by `evaluate`. `simulate` makes micrographs whose truth is known,
`datasets` fetches real ones. Nothing heavy is imported here: ``import cryokit`` costs nothing.
"""

__version__ = "0.1.0"
