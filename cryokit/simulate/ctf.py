"""The contrast transfer of a weak phase object: wavelength, interaction constant, CTF and envelope.

Signs are those of CTFFIND and RELION: underfocus is positive and the CTF starts negative, so that protein is dark.
"""

import math

import numpy as np


def electron_wavelength(voltage: float) -> float:
    """Return the relativistic wavelength of electrons.

    Parameters
    ----------
    voltage : float
        Acceleration voltage, kV.

    Returns
    -------
    float
        Wavelength, Angstrom.

    Examples
    --------
    >>> round(electron_wavelength(300), 4), round(electron_wavelength(120), 4)
    (0.0197, 0.0335)
    """
    volts = voltage * 1e3
    return 12.2642598 / math.sqrt(volts * (1 + 0.978475598e-6 * volts))


def interaction_constant(voltage: float) -> float:
    """Return the phase shift per projected potential, in radians per (V Angstrom).

    Parameters
    ----------
    voltage : float
        Acceleration voltage, kV.

    Examples
    --------
    >>> round(interaction_constant(300) * 1e4, 2)
    6.53
    """
    volts = voltage * 1e3
    rest = 510998.95
    return 2 * math.pi / (electron_wavelength(voltage) * volts) * (rest + volts) / (2 * rest + volts)


def aberration(
    fx: np.ndarray,
    fy: np.ndarray,
    *,
    voltage: float,
    cs: float,
    defocus_u: float,
    defocus_v: float | None = None,
    angle: float = 0.0,
) -> np.ndarray:
    """Return the phase shift chi that the lens gives each spatial frequency.

    chi = pi lambda dz f^2 - pi / 2 Cs lambda^3 f^4 with the astigmatic underfocus
    dz = (U + V) / 2 + (U - V) / 2 cos(2 (azimuth - angle)).

    Parameters
    ----------
    fx, fy : ndarray
        Spatial frequencies along x and y, 1 / Angstrom; broadcast against each other.
    voltage : float
        Acceleration voltage, kV.
    cs : float
        Spherical aberration, mm.
    defocus_u, defocus_v : float
        Underfocus along the two principal axes, micrometres; without `defocus_v` there is no astigmatism.
    angle : float
        Angle of the axis of `defocus_u` from x towards y, degrees.

    Returns
    -------
    ndarray
        Phase shift in radians, of the broadcast shape of `fx` and `fy`.
    """
    wavelength = electron_wavelength(voltage)
    defocus_v = defocus_u if defocus_v is None else defocus_v
    xx, yy, xy = fx * fx, fy * fy, fx * fy
    squared = xx + yy
    twice = 2 * math.radians(angle)
    # f^2 cos(2 (azimuth - angle)) without the azimuth, which has no value at f = 0.
    astigmatic = (xx - yy) * math.cos(twice) + 2 * xy * math.sin(twice)
    defocus = 0.5e4 * ((defocus_u + defocus_v) * squared + (defocus_u - defocus_v) * astigmatic)
    return math.pi * wavelength * (defocus - 0.5 * cs * 1e7 * wavelength**2 * squared**2)


def ctf(
    fx: np.ndarray, fy: np.ndarray, *, amplitude_contrast: float = 0.1, b_factor: float = 0.0, **lens: float
) -> np.ndarray:
    """Return the contrast transfer function, -sin(chi + asin(w)) exp(-B f^2 / 4).

    Parameters
    ----------
    fx, fy : ndarray
        Spatial frequencies along x and y, 1 / Angstrom; broadcast against each other.
    amplitude_contrast : float
        Amplitude contrast w, 0 to 1.
    b_factor : float
        B of the envelope, square Angstrom.
    **lens
        `voltage`, `cs`, `defocus_u`, `defocus_v` and `angle` as for `aberration`.

    Returns
    -------
    ndarray
        Values from -1 to 1, of the broadcast shape of `fx` and `fy`. The relative intensity of a weak phase object
        whose phase shift has the Fourier transform P is 1 + 2 times the inverse transform of P times this.

    Examples
    --------
    >>> float(ctf(np.array(0.0), np.array(0.0), voltage=300, cs=2.7, defocus_u=2.0))
    -0.1
    """
    return -np.sin(aberration(fx, fy, **lens) + math.asin(amplitude_contrast)) * envelope(fx, fy, b_factor)


def envelope(fx: np.ndarray, fy: np.ndarray, b_factor: float) -> np.ndarray:
    """Return exp(-B f^2 / 4): the loss of contrast by partial coherence, motion and the like."""
    return np.exp(-0.25 * b_factor * (fx * fx)) * np.exp(-0.25 * b_factor * (fy * fy))
