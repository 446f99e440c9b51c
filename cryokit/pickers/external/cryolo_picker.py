"""crYOLO, with a network that its authors or you have trained.

crYOLO's licence forbids commercial use. cryokit contains nothing of crYOLO; it starts the program that you have
installed under that licence.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from cryokit._util.files import write_text
from cryokit.coordinates import read, table
from cryokit.errors import ArgumentError, PickerError
from cryokit.pickers.external.program import Copy, ExternalPicker, run

LOWPASS = 0.1  # relative to the sampling frequency, as crYOLO's general model expects
_DETECTIONS = 700  # largest number on a micrograph, crYOLO's default; more where there is room


@dataclass(eq=False)
class CryoloPicker(ExternalPicker):
    """crYOLO by its command line: ``cryolo_predict.py`` with a trained network, such as its general model.

    Particles are read from its CBOX files, which hold every detection with its confidence; crYOLO's own threshold is
    0.3. Labels only give the diameter. Mind that crYOLO's licence forbids commercial use.

    Parameters
    ----------
    diameter, contrast, command
        See `ExternalPicker`. The diameter is crYOLO's box size.
    weights : path-like
        File of the network (``.h5``); https://cryolo.readthedocs.io has the general model.
    filter : bool
        Whether to low-pass filter the micrographs, as the general model expects (not the one for denoised or unfiltered
        micrographs).
    gpu : int, optional
        Number of the graphics card; crYOLO chooses by default.

    Notes
    -----
    Wagner et al. 2019, Communications Biology 2:218.
    """

    program: ClassVar[str] = "cryolo_predict.py"
    variable: ClassVar[str] = "CRYOKIT_CRYOLO"
    default_threshold: ClassVar[float] = 0.3
    install: ClassVar[str] = (
        "Install crYOLO in an environment of its own, of a Python that it supports (https://cryolo.readthedocs.io)."
    )

    weights: str | os.PathLike | None = None
    filter: bool = True
    gpu: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights is None:
            raise ArgumentError("method 'cryolo': give crYOLO's network (an .h5 file) as the setting 'weights'")
        self.weights = str(Path(self.weights).absolute())

    def _picks(self, command: Sequence[str], copies: Sequence[Copy], folder: Path) -> list[pd.DataFrame]:
        if not Path(self.weights).is_file():
            raise PickerError(f"{self.weights}: no such file; give crYOLO's network as the setting 'weights'")
        area = max(copy.shape[0] * copy.shape[1] for copy in copies)
        side = round(self.diameter_)
        model = {
            "architecture": "PhosaurusNet",
            "input_size": 1024,
            "anchors": [side, side],
            "max_box_per_image": max(_DETECTIONS, round(area / side**2)),
            "norm": "STANDARD",
        }
        if self.filter:
            model["filter"] = [LOWPASS, "filtered/"]
        write_text(folder / "config.json", json.dumps({"model": model, "other": {"log_path": "logs/"}}, indent=1))
        run(
            [
                *command, "-c", "config.json", "-w", self.weights, "-i", copies[0].path.parent, "-o", "picks",
                "-t", self.default_threshold, *(["-g", self.gpu] if self.gpu is not None else []),
            ],
            folder,
        )  # fmt: skip
        boxes = folder / "picks" / "CBOX"
        if not boxes.is_dir():
            raise PickerError(
                f"{command[0]}: ended without an error, but wrote no CBOX files; cryokit needs crYOLO 1.8"
            )
        # A micrograph without particles has none.
        files = [boxes / f"{copy.path.stem}.cbox" for copy in copies]
        return [read(file, "cbox") if file.is_file() else table() for file in files]
