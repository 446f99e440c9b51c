"""Simulated micrographs with exact truth.

A micrograph is made the way the microscope makes one, in the linear approximation:

1. Particles: an analytic density (`cryokit.simulate.density`), as some thousand pseudo-atoms, at an orientation and a
   place; the sum of the projected potentials of the atoms.
2. Surroundings (`cryokit.simulate.specimen`): carbon film, ice crystals, debris, filaments; the grain of the ice.
   On request artefacts (`cryokit.simulate.artefacts`): beads, foil, beam edge, aggregates, crystalline ice, borders.
3. Lens (`cryokit.simulate.ctf`): weak-phase contrast transfer with defocus, spherical aberration, amplitude contrast,
   astigmatism and an envelope.
4. Detector: Poisson counts at the dose, blurred by the detector's modulation transfer.

`simulate` returns the micrograph and its truth, `simulate_parts` signal, background and noise as well, `simulate_set` a
series. The defaults of each protein (`CONDITIONS`) look like a real data set; ``benchmarks/compare_simulation.py`` puts
them side by side.

Approximations:

- The specimen is a weak phase object: at most one scattering event, no Fresnel propagation within it, all of it at one
  height (no defocus gradient), and intensity linear in the phase. Carbon and crystals are not weak: their phase is set
  so that the linear image looks right, with a loss of amplitude of their own.
- Proteins are analytic densities at the resolution of their domains, not atomic models; size, symmetry and outline are
  right, finer structure is not. Ice is subtracted as one mean potential: no hydration shell.
- Inelastic scattering, beam-induced motion, partial coherence and radiation damage appear only as the B factor of the
  envelope and a factor on the contrast.
- The ice is white noise at the specimen, without its peak at 3.7 A.
- The detector counts every electron once with a Gaussian modulation transfer; no gain errors, dead pixels or dark
  noise, no coincidence loss.
"""

# Imported on first use: the names of the proteins cost the command line no SciPy.
import lazy_loader

from cryokit.errors import SimulationError

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "conditions": ["ARTEFACTS", "CONDITIONS", "PROTEINS", "Conditions"],
        "density": ["Form", "Protein"],
        "name_seeds": ["seed_from_name"],
        "population": ["TRUTH_COLUMNS"],
        "proteins": ["MODELS"],
        "random_proteins": ["fragment", "random_protein"],
        "real_or_simulated": ["REAL_DATASETS", "Sample", "real_or_simulated"],
        "rendering": ["Parts", "simulate", "simulate_parts", "simulate_set", "simulate_set_parts"],
    },
)
__all__ += ["SimulationError"]
