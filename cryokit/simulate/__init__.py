"""Simulated micrographs with exact truth.

A micrograph is made the way the microscope makes one, in the linear picture of it:

1. Particles: an analytic density (`cryokit.simulate.density`), as some thousand pseudo-atoms, at an orientation and a
   place; the sum of the atoms' projected potentials.
2. Surroundings (`cryokit.simulate.specimen`): carbon film, ice crystals, debris, filaments; the grain of the ice.
3. Lens (`cryokit.simulate.ctf`): weak-phase contrast transfer with defocus, spherical aberration, amplitude contrast,
   astigmatism and an envelope.
4. Detector: Poisson counts at the dose, blurred by the detector's modulation transfer.

`simulate` gives the micrograph and its truth, `simulate_parts` signal, background and noise as well, `simulate_set` a
series. The defaults of each protein (`CONDITIONS`) look like a real data set; ``benchmarks/compare_simulation.py`` puts
them side by side.

What is approximated:

- The specimen is a weak phase object: one scattering at most, no Fresnel propagation within it, all of it at one
  height (no defocus gradient), and intensity linear in the phase. Carbon and crystals are not weak: their phase is set
  so that the linear image looks right, with a loss of amplitude of their own.
- Proteins are analytic densities at the resolution of their domains, not atomic models; orders of size, symmetry and
  outline are right, finer structure is not. Ice is subtracted as one mean potential: no hydration shell.
- Inelastic scattering, beam-induced motion, partial coherence and radiation damage appear only as the envelope's
  B factor and a factor on the contrast.
- The ice is white noise at the specimen, without its peak at 3.7 A.
- The detector counts every electron once with a Gaussian modulation transfer; no gain errors, dead pixels or dark
  noise, no coincidence loss.
"""

from cryokit.simulate.conditions import CONDITIONS, Conditions, SimulationError
from cryokit.simulate.density import PROTEINS, Form, Protein
from cryokit.simulate.random_proteins import fragment, random_protein
from cryokit.simulate.rendering import TRUTH_COLUMNS, Parts, simulate, simulate_parts, simulate_set

__all__ = [
    "CONDITIONS",
    "PROTEINS",
    "TRUTH_COLUMNS",
    "Conditions",
    "Form",
    "Parts",
    "Protein",
    "SimulationError",
    "fragment",
    "random_protein",
    "simulate",
    "simulate_parts",
    "simulate_set",
]
