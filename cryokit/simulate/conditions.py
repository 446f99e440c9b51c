"""How each protein is imaged by default: microscope, exposure and state of the specimen."""

import dataclasses
import math
from dataclasses import dataclass

from cryokit._util.validation import check_number
from cryokit.errors import ArgumentError

_POSITIVE = ("pixel_size", "voltage", "dose", "mtf", "crystal_size")
_FRACTIONS = (
    "mtf", "amplitude_contrast", "carbon", "overlap_fraction", "broken_fraction",
    "foil", "beam_edge", "crystalline", "borders",
)  # fmt: skip


@dataclass(frozen=True)
class Conditions:
    """Imaging conditions of one micrograph or of a whole set.

    Attributes
    ----------
    pixel_size : float
        Pixel size at the specimen, Angstrom.
    voltage : float
        Acceleration voltage, kV.
    cs : float
        Spherical aberration, mm.
    defocus : tuple of float
        Lowest and highest mean underfocus, micrometres; one value is drawn per micrograph.
    astigmatism : float
        Difference between the defocus along the two principal axes, micrometres; their angle is drawn per micrograph.
    amplitude_contrast : float
        Fraction of amplitude contrast of the particles, 0 to 1.
    b_factor : float
        B factor of the envelope exp(-B f^2 / 4) of the transfer, square Angstrom.
    dose : float
        Detected electrons per square Angstrom (the dose times the detector's DQE at zero frequency).
    mtf : float
        Modulation transfer of the detector at the Nyquist frequency, above 0 to 1; Gaussian in between.
    ice : float
        Power of the grain of the amorphous ice, relative to the shot noise, where the CTF and envelope are 1.
    mottle : float
        Power of the slow grain below some 1 / (60 A), of uneven ice and solutes, relative to the shot noise; not phase
        contrast, so the CTF does not colour it.
    contrast : float
        Factor on the potential of the particles against the ice: 1 is the physical estimate for an ice layer as thin as
        the particle; below 1 stands for thick ice, inelastic scattering and beam-induced motion.
    density : float
        Particles per square micrometre.
    clustering : float
        Crowding of the particles: 0 spreads them evenly, 1 crowds them as drying does, about threefold in places.
    contamination : float
        Ice crystals and blobs per square micrometre.
    crystal_size : float
        Median diameter of these, Angstrom.
    filaments : float
        Long rods (virus or protein filaments) per square micrometre.
    carbon : float
        Probability that the edge of the carbon film shows.
    ice_gradient : float
        Relative standard deviation, over the micrograph, of the uneven intensity (ice thickness, illumination).
    overlap_fraction, broken_fraction : float
        Fractions of the particles put on top of another, and broken.
    beads, aggregates : float
        Gold beads, and clumps of protein, per square micrometre. They lie on particles, too.
    foil, beam_edge, crystalline, borders : float
        Probabilities that foil covers a side or corner, that the edge of the beam shows, that the ice is crystalline,
        and that borders are padded.

    Raises
    ------
    ArgumentError
        If a value is out of range.
    """

    pixel_size: float
    voltage: float
    cs: float
    defocus: tuple[float, float]
    dose: float
    mtf: float
    ice: float
    mottle: float
    contrast: float
    density: float
    b_factor: float
    astigmatism: float = 0.05
    amplitude_contrast: float = 0.1
    clustering: float = 0.5
    contamination: float = 20.0
    crystal_size: float = 124.0
    filaments: float = 0.0
    carbon: float = 0.2
    ice_gradient: float = 0.015
    overlap_fraction: float = 0.03
    broken_fraction: float = 0.04
    beads: float = 0.0
    aggregates: float = 0.0
    foil: float = 0.0
    beam_edge: float = 0.0
    crystalline: float = 0.0
    borders: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "defocus":
                for bound in value:
                    check_number("defocus", bound, -10, 10)
                if value[0] > value[1]:
                    raise ArgumentError(f"defocus must be a range (low, high) in micrometres, not {value}")
            else:
                high = 1 if field.name in _FRACTIONS else math.inf
                check_number(field.name, value, 0, high, above=field.name in _POSITIVE)


# What `cryokit simulate --artefacts` puts on every micrograph: beads and aggregates per square micrometre, the others
# with certainty.
ARTEFACTS = {"beads": 50.0, "aggregates": 20.0, "foil": 1.0, "beam_edge": 1.0, "crystalline": 1.0, "borders": 1.0}

# The first four resemble data sets that they were compared with (benchmarks/compare_simulation.py): KLH data set I of
# the particle-picking bake-off (CM200, CCD), EMPIAR-10146, EMPIAR-10028 (binned by four) and EMPIAR-10017. Defocus,
# B factor, MTF, ice, mottle and contrast are fitted to their micrographs. The resulting signal-to-noise ratios, as
# `simulate` defines them, are about 1.3, 1.4, 0.7 and 0.6. For MS2 (the kind of EMPIAR-10075: 300 kV, an integrating
# detector) and the T20S proteasome (EMPIAR-10025 and 10186: counting detectors, 200 or 300 kV) there was no micrograph
# to fit to: microscope and magnification, binned by about two, are like published ones, the rest is plausible.
CONDITIONS = {
    "klh": Conditions(
        pixel_size=2.2, voltage=120, cs=2.0, defocus=(2.4, 3.4), b_factor=1200, dose=10, mtf=0.165, ice=0.9,
        mottle=0.5, contrast=0.27, density=130, amplitude_contrast=0.07, contamination=30, filaments=2,
        ice_gradient=0.006,
    ),
    "apoferritin": Conditions(
        pixel_size=1.6, voltage=300, cs=2.7, defocus=(1.6, 2.8), b_factor=240, dose=40, mtf=0.88, ice=0.35,
        mottle=0.8, contrast=0.7, density=3900, amplitude_contrast=0.05, clustering=0.2, contamination=25,
        overlap_fraction=0.05, ice_gradient=0.006,
    ),
    "ribosome": Conditions(
        pixel_size=5.36, voltage=300, cs=2.0, defocus=(2.2, 3.0), b_factor=700, dose=16, mtf=0.44, ice=2.3,
        mottle=0.1, contrast=0.43, density=500, amplitude_contrast=0.07, clustering=0.8, contamination=1, carbon=0.1,
        ice_gradient=0.003,
    ),
    "betagal": Conditions(
        pixel_size=1.77, voltage=300, cs=2.0, defocus=(2.0, 3.0), b_factor=200, dose=24, mtf=0.4, ice=0.4,
        mottle=0.3, contrast=0.5, density=1200, clustering=0.3, contamination=2, ice_gradient=0.006,
    ),
    "ms2": Conditions(
        pixel_size=2.8, voltage=300, cs=2.7, defocus=(1.2, 2.6), b_factor=400, dose=16, mtf=0.5, ice=0.6,
        mottle=0.4, contrast=0.65, density=240, clustering=0.6, contamination=4, ice_gradient=0.006,
    ),
    "t20s": Conditions(
        pixel_size=1.8, voltage=200, cs=2.7, defocus=(1.0, 2.4), b_factor=200, dose=30, mtf=0.7, ice=0.5,
        mottle=0.4, contrast=0.38, density=900, clustering=0.4, contamination=6, ice_gradient=0.006,
    ),
}  # fmt: skip
PROTEINS = tuple(CONDITIONS)
