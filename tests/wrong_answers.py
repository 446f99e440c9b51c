"""Typical wrong answers to every task of the exercises, with the points they are worth and a word of the hint."""

from typing import NamedTuple


class Wrong(NamedTuple):
    """A wrong answer: the body of the function, what is wrong with it, a pattern of its hint, and its points."""

    fault: str
    body: str
    hint: str
    points: float = 0


# exercise -> task (nbgrader's name of the cell with the solution) -> wrong answers
WRONG = {
    "00": {
        "snr": [
            Wrong("noise not subtracted", "return pixels[inside].var() / pixels[~inside].var()", "subtract the noise"),
            Wrong("standard deviations", "return pixels[inside].std() / pixels[~inside].std()", "standard deviations"),
            Wrong("the whole crop", "n = pixels[~inside].var()\nreturn (pixels.var() - n) / n", "Which pixels"),
            Wrong(
                "of means",
                "n = pixels[~inside]\nreturn (pixels[inside].mean() - n.mean()) ** 2 / n.var()",
                "compares the means",
            ),
            Wrong("nothing returned", "pixels[~inside].var()", "return"),
        ],
        "binned": [
            Wrong("divided only", "return x / factor, y / factor", "outer corner"),
            Wrong("swapped", "s = (factor - 1) / 2\nreturn (y - s) / factor, (x - s) / factor", "swapped"),
            Wrong("multiplied", "return x * factor, y * factor", "appears at"),
        ],
        "direction": [
            Wrong("largest frequency", "return angles[np.argmax(zeros)]", "rings inwards"),
            Wrong("place in the list", "return int(np.argmin(zeros))", "place in the list|lies further in"),
            Wrong("axes only", "return 0 if zeros[0] < zeros[9] else 90", "lies further in"),
        ],
        "astigmatism": [
            Wrong("not squared", "z = 1 / (wavelength * zeros)\nreturn (z.max() - z.min()) / 1e4", "squared"),
            Wrong("in Angstrom", "z = 1 / (wavelength * zeros**2)\nreturn z.max() - z.min()", "10,000"),
            Wrong("pi kept", "return np.ptp(np.pi / (wavelength * zeros**2)) / 1e4", "cancels"),
            Wrong("300 kV always", "z = 1 / (0.0197 * zeros**2)\nreturn np.ptp(z) / 1e4", "wavelength"),
        ],
        "rates": [
            Wrong("swapped", "p, r = tp / (tp + fn), tp / (tp + fp)\nreturn p, r, 2 * p * r / (p + r)", "swapped"),
            Wrong("ordinary mean", "p, r = tp / (tp + fp), tp / (tp + fn)\nreturn p, r, (p + r) / 2", "harmonic"),
            Wrong(
                "division by zero",
                "p, r = tp / (tp + fp), tp / (tp + fn)\nreturn p, r, 2 * p * r / (p + r)",
                "ZeroDivisionError",
            ),
        ],
    },
    "01": {
        "stretch": [
            Wrong("minimum and maximum", "return (picture - picture.min()) / np.ptp(picture)", "darkest pixel"),
            Wrong(
                "not clipped",
                "a, b = np.percentile(picture, (low, high))\nreturn (picture - a) / (b - a)",
                "clip what lies outside",
            ),
            Wrong(
                "clipped, not mapped",
                "return np.clip(picture, *np.percentile(picture, (low, high)))",
                "to 0 and 1 first",
            ),
            Wrong(
                "arguments unused",
                "a, b = np.percentile(picture, (1, 99))\nreturn np.clip((picture - a) / (b - a), 0, 1)",
                "use the arguments",
            ),
        ],
        "equalise": [
            Wrong("stretched", "return (picture - picture.min()) / np.ptp(picture)", "not flat"),
            Wrong("row by row", "return picture.argsort(axis=1).argsort(axis=1) / picture.shape[1]", "whole picture"),
            Wrong(
                "ties broken",
                "return picture.ravel().argsort().argsort().reshape(picture.shape) / picture.size",
                "stay equal",
            ),
            Wrong("argsort for rank", "return picture.ravel().argsort().reshape(picture.shape) / picture.size", "argsort"),
            Wrong("not divided", "return np.searchsorted(np.sort(picture, axis=None), picture)", "number of pixels"),
            Wrong("brighter ones", "return 1 - np.searchsorted(np.sort(picture, axis=None), picture) / picture.size", "exchanged"),
        ],
        "contrast": [
            Wrong("noise left out", "return abs(picture[inside].mean() - picture[~inside].mean())", "divide"),
            Wrong("signed", "return (picture[inside].mean() - picture[~inside].mean()) / picture[~inside].std()", "absolute"),
            Wrong(
                "noise inside",
                "return abs(picture[inside].mean() - picture[~inside].mean()) / picture[inside].std()",
                "deviation inside",
            ),
            Wrong("variance", "return abs(picture[inside].mean() - picture[~inside].mean()) / picture.var()", "0.5"),
        ],
        "blur": [
            Wrong("strongest", "return max(sigmas)", "what is left"),
            Wrong(
                "contrast alone",
                "c = [abs((p := gaussian_filter(picture, s))[inside].mean() - p[~inside].mean()) for s in sigmas]\n"
                "return sigmas[int(np.argmax(c))]",
                "noise",
            ),
            Wrong("always the same place", "return sigmas[-3]", "size|another sigma|another order"),
            Wrong(
                "place in the list",
                "r = [contrast_to_noise(gaussian_filter(picture, s), inside) for s in sigmas]\n"
                "return int(np.argmax(r))",
                "place in the list",
            ),
            Wrong(
                "blurred again and again",
                "r = []\nfor s in sigmas:\n    picture = gaussian_filter(picture, s)\n"
                "    r.append(contrast_to_noise(picture, inside))\nreturn sigmas[int(np.argmax(r))]",
                "blur the picture itself",
            ),
        ],
        "gain": [
            Wrong("exactly equal", "return bool((stage(picture) == stage(3 * picture + 100)).all())", "np.allclose"),
            Wrong("for each pixel", "return np.isclose(stage(picture), stage(3 * picture + 100))", "whole picture"),
            Wrong("gain only", "return bool(np.allclose(stage(picture), stage(3 * picture)))", "both at once"),
            Wrong("offset only", "return bool(np.allclose(stage(picture), stage(picture + 100), atol=1e-4))", "offset|bright"),
        ],
    },
    "02": {
        "ibc": [
            Wrong(
                "equal slices",
                "a, b = picture.min(), picture.max()\n"
                "return np.minimum((k * (picture - a) / (b - a)).astype(int), k - 1)",
                "nearest centre",
            ),
            Wrong(
                "counted from 0",
                "c = picture.max() * np.arange(1, k + 1) / k\n"
                "return np.abs(picture[..., None] - c).argmin(axis=-1)",
                "not from 0",
            ),
            Wrong(
                "centres from the darkest value",
                "c = np.linspace(picture.min(), picture.max(), k)\n"
                "return np.abs(picture[..., None] - c).argmin(axis=-1)",
                "centres are 20",
            ),
        ],
        "clean": [
            Wrong(
                "diameter as radius",
                "n, _ = ndimage.label(mask)\na = np.bincount(n.ravel())\nd = np.pi * diameter**2\n"
                "k = (a >= d / 2) & (a <= 2 * d)\nk[0] = False\nreturn k[n]",
                "radius|disc of 30",
            ),
            Wrong(
                "area of a square",
                "n, _ = ndimage.label(mask)\na = np.bincount(n.ravel())\nd = diameter**2\n"
                "k = (a >= d / 2) & (a <= 2 * d)\nk[0] = False\nreturn k[n]",
                "of a square",
            ),
            Wrong(
                "no upper limit",
                "n, _ = ndimage.label(mask)\na = np.bincount(n.ravel())\nk = a >= np.pi / 8 * diameter**2\n"
                "k[0] = False\nreturn k[n]",
                "is left",
            ),
            Wrong(
                "background kept",
                "n, _ = ndimage.label(mask)\na = np.bincount(n.ravel())\nk = a >= np.pi / 8 * diameter**2\nreturn k[n]",
                "background",
            ),
        ],
        "circularity": [
            Wrong("not squared", "return perimeter / (4 * np.pi * area)", "square the perimeter"),
            Wrong("upside down", "return 4 * np.pi * area / perimeter**2", "upside down"),
        ],
        "feret": [
            Wrong(
                "rows and columns",
                "r, c = np.nonzero(mask)\na, b = np.ptp(r), np.ptp(c)\nreturn max(a, b) / min(a, b)",
                "slant",
            ),
            Wrong(
                "the diagonal",
                "r, c = np.nonzero(mask)\nt = np.radians(np.arange(180))\n"
                "d = np.ptp(np.outer(np.cos(t), c) + np.outer(np.sin(t), r), axis=1)\nreturn d.max() / d.min()",
                "diagonal",
            ),
            Wrong(
                "degrees taken for radians",
                "r, c = np.nonzero(mask)\nt = np.arange(180)\n"
                "d = np.ptp(np.outer(np.cos(t), c) + np.outer(np.sin(t), r), axis=1)\n"
                "return d[(d.argmin() + 90) % 180] / d.min()",
                "radians",
            ),
        ],
    },
    "03": {
        "good": [
            Wrong("everything", "return True", "keep everything"),
            Wrong("by area", "return measure(mask)[0] > 700", "area"),
            Wrong("upside down", "a, p = measure(mask)\nreturn 4 * np.pi * a / p**2 < 0.86", "wrong way round"),
        ],
        "usual": [
            Wrong("mean", "return np.abs(area - area.mean()) <= 3 * area.std()", "standard deviation"),
            Wrong("one-sided", "m = np.median(area)\nreturn area >= m - 4.4 * np.median(np.abs(area - m))", "too large"),
            Wrong("no lower limit", "m = np.median(area)\nreturn area <= m + 4.4478 * np.median(np.abs(area - m))", "both sides"),
            Wrong("not scaled", "m = np.median(area)\nreturn np.abs(area - m) <= 3 * np.median(np.abs(area - m))", "1.4826"),
            Wrong("a factor of two", "m = np.median(area)\nreturn (area > m / 2) & (area < 2 * m)", "scaled MADs"),
            Wrong(
                "quartiles",
                "a, b = np.percentile(area, (25, 75))\nreturn (area >= 2.5 * a - 1.5 * b) & (area <= 2.5 * b - 1.5 * a)",
                "other areas",
            ),
            Wrong("not three times", "m = np.median(area)\nreturn np.abs(area - m) <= np.median(np.abs(area - m))", "three times"),
        ],
        "purity": [
            Wrong("swapped", "b = (good & kept).sum()\nreturn b / max(good.sum(), 1), b / max(kept.sum(), 1)", "swapped"),
            Wrong("accuracy", "return (good == kept).mean(), (good & kept).sum() / good.sum()", "right decisions"),
            Wrong("nothing kept", "b = int((good & kept).sum())\nreturn b / int(kept.sum()), b / int(good.sum())", "ZeroDiv"),
        ],
        "clean": [
            Wrong("as many good as bad", "return hit / (hit + slip)", "1,000"),
            Wrong("share of all", "return share * hit", "divide by all the kept"),
        ],
    },
    "04": {
        "parameters": [
            Wrong(
                "no bias",
                "t = 0\nfor f, k in layers:\n    t += f * k**2 * channels\n    channels = f\nreturn t",
                "bias",
            ),
            Wrong(
                "channels multiplied",
                "t = 0\nfor f, k in layers:\n    t += f * (k**2 * channels + 1)\n    channels *= f\nreturn t",
                "in all, not",
            ),
            Wrong("grey always", "t, c = 0, 1\nfor f, k in layers:\n    t += f * (k**2 * c + 1)\n    c = f\nreturn t", "three channels"),
            Wrong("one channel", "return sum(f * (k**2 * channels + 1) for f, k in layers)", "8 channels"),
        ],
        "leak": [
            Wrong(
                "checksums only",
                "a, b = split[split.part == 'train'], split[split.part == 'test']\n"
                "return set(b.micrograph[b.checksum.isin(a.checksum)])",
                "same hole",
            ),
            Wrong(
                "holes without squares",
                "a, b = split[split.part == 'train'], split[split.part == 'test']\n"
                "return set(b.micrograph[b.checksum.isin(a.checksum) | b.hole.isin(a.hole)])",
                "square",
            ),
            Wrong(
                "validation counted",
                "a, b = split[split.part != 'test'], split[split.part == 'test']\n"
                "p = set(zip(a.square, a.hole))\n"
                "return set(b.micrograph[b.checksum.isin(a.checksum) | np.array([q in p for q in zip(b.square, b.hole)])])",
                "validation",
            ),
            Wrong("by name", "return set()", "nothing found"),
        ],
        "class": [
            Wrong("swapped", "r = matrix.loc[name, name]\nreturn r / matrix.loc[name].sum(), r / matrix[name].sum()", "swapped"),
            Wrong("of all patches", "r = matrix.loc[name, name] / matrix.to_numpy().sum()\nreturn r, r", "its column"),
        ],
        "mistake": [
            Wrong("the diagonal", "return matrix.stack().idxmax()", "diagonal"),
            Wrong(
                "matrix spoilt",
                "for name in matrix.index:\n    matrix.loc[name, name] = 0\nreturn matrix.stack().idxmax()",
                "work on a copy",
            ),
            Wrong(
                "swapped",
                "w = matrix.to_numpy().copy()\nnp.fill_diagonal(w, 0)\nr, c = np.unravel_index(w.argmax(), w.shape)\n"
                "return matrix.columns[c], matrix.index[r]",
                "swapped",
            ),
        ],
        "augment": [
            Wrong("turns only", "return [np.rot90(patch, k) for k in range(4)]", "mirrored patch"),
            Wrong(
                "too many",
                "return [np.rot90(p, k) for p in (patch, np.fliplr(patch), np.flipud(patch)) for k in range(4)]",
                "different",
            ),
            Wrong("shifted", "return [np.rot90(patch, k)[1:] for k in range(4)]", "shape"),
        ],
    },
    "05": {
        "place": [
            Wrong("first pixel", "return column * stride, row * stride", "first pixel"),
            Wrong("half a pixel", "return column * stride + window / 2, row * stride + window / 2", "window - 1"),
            Wrong("whole pixels", "return column * stride + window // 2, row * stride + window // 2", "1.5"),
            Wrong("swapped", "m = (window - 1) / 2\nreturn row * stride + m, column * stride + m", "swapped"),
        ],
        "iou": [
            Wrong("over one box", "return max(side - abs(dx), 0) * max(side - abs(dy), 0) / side**2", "one box"),
            Wrong(
                "counted twice",
                "return 1.0 if dx == dy == 0 else max(side - abs(dx), 0) * max(side - abs(dy), 0) / (2 * side**2)",
                "counts twice",
            ),
            Wrong("along x only", "s = max(side - abs(dx), 0) * side\nreturn s / (2 * side**2 - s)", "4 x 8"),
            Wrong("minus times minus", "s = max((side - abs(dx)) * (side - abs(dy)), 0)\nreturn s / (2 * side**2 - s)", "minus"),
            Wrong("negative overlap", "s = (side - abs(dx)) * (side - abs(dy))\nreturn s / (2 * side**2 - s)", "negative"),
        ],
        "shift": [
            Wrong("union ignored", "return 1 - overlap", "union"),
            Wrong("a constant", "return 0.25", "not shifted"),
        ],
        "nms": [
            Wrong(
                "removed ones remove others",
                "o = np.argsort(-score)\n"
                "return [int(i) for n, i in enumerate(o) if all(abs(x[i] - x[j]) >= distance for j in o[:n])]",
                "must not remove",
            ),
            Wrong(
                "not sorted",
                "kept = []\nfor i in range(len(x)):\n"
                "    if all(np.hypot(x[i] - x[j], y[i] - y[j]) >= distance for j in kept):\n        kept.append(i)\n"
                "return kept",
                "by falling score",
            ),
            Wrong(
                "along x only",
                "kept = []\nfor i in np.argsort(-score):\n"
                "    if all(abs(x[i] - x[j]) >= distance for j in kept):\n        kept.append(int(i))\nreturn kept",
                "along y",
            ),
            Wrong(
                "True and False",
                "kept = []\nfor i in np.argsort(-score):\n"
                "    if all(np.hypot(x[i] - x[j], y[i] - y[j]) >= distance for j in kept):\n        kept.append(int(i))\n"
                "return np.isin(np.arange(len(x)), kept)",
                "return indices",
            ),
            Wrong("nothing removed", "return [int(i) for i in np.argsort(-score)]", "has to go"),
        ],
        "boxes": [
            Wrong(
                "y as it is",
                "x, y, w, h = np.array([l.split() for l in text.splitlines()], float).T\n"
                "return np.column_stack([x + w / 2, y + h / 2])",
                "from the bottom",
            ),
            Wrong(
                "off by one",
                "x, y, w, h = np.array([l.split() for l in text.splitlines()], float).T\n"
                "return np.column_stack([x + w / 2, rows - (y + h / 2)])",
                "one pixel",
            ),
            Wrong(
                "corner flipped",
                "x, y, w, h = np.array([l.split() for l in text.splitlines()], float).T\n"
                "return np.column_stack([x + w / 2, rows - 1 - y + h / 2])",
                "whole box",
            ),
            Wrong(
                "corners as centres",
                "x, y, w, h = np.array([l.split() for l in text.splitlines()], float).T\n"
                "return np.column_stack([x, rows - 1 - y])",
                "corners",
            ),
        ],
    },
    "06": {
        "pairs": [
            Wrong(
                "labels used twice",
                "d = np.hypot(*(picks[:, None] - labels[None]).transpose(2, 0, 1))\n"
                "return int((d.min(axis=1) <= tolerance).sum())",
                "only once",
            ),
            Wrong(
                "greedy",
                "free, n = list(labels), 0\nfor p in picks:\n"
                "    d = [np.hypot(*(p - l)) for l in free]\n"
                "    if d and min(d) <= tolerance:\n        free.pop(int(np.argmin(d)))\n        n += 1\nreturn n",
                "no other choice",
            ),
            Wrong(
                "plain distances as costs",
                "d = np.hypot(*(picks[:, None] - labels[None]).transpose(2, 0, 1))\n"
                "r, c = linear_sum_assignment(d)\nreturn int((d[r, c] <= tolerance).sum())",
                "true distances",
            ),
            Wrong(
                "all that have a neighbour",
                "near = np.hypot(*(picks[:, None] - labels[None]).transpose(2, 0, 1)) <= tolerance\n"
                "return int(min(near.any(axis=0).sum(), near.any(axis=1).sum()))",
                "not yet paired",
            ),
            Wrong(
                "each axis by itself",
                "far = abs(picks[:, None] - labels[None]).max(axis=2) > tolerance\n"
                "return int((~far)[linear_sum_assignment(far)].sum())",
                "11.3",
            ),
            Wrong(
                "distances as costs",
                "d = np.hypot(*(picks[:, None] - labels[None]).transpose(2, 0, 1))\n"
                "r, c = linear_sum_assignment(np.minimum(d, 12))\nreturn int((d[r, c] <= tolerance).sum())",
                "true distances",
            ),
        ],
        "threshold": [
            Wrong(
                "swapped",
                "v, t = ([f1_at(part, t) for t in thresholds] for part in (validation, test))\n"
                "return max(t), t[int(np.argmax(v))]",
                "are swapped",
            ),
            Wrong(
                "thresholds",
                "v, t = ([f1_at(part, t) for t in thresholds] for part in (validation, test))\n"
                "return thresholds[int(np.argmax(v))], thresholds[int(np.argmax(t))]",
                "these are thresholds",
            ),
            Wrong("chosen on the test", "b = max(f1_at(test, t) for t in thresholds)\nreturn b, b", "validation"),
            Wrong("measured on the validation",
                  "return max(f1_at(validation, t) for t in thresholds), max(f1_at(test, t) for t in thresholds)",
                  "measure on the test"),
            Wrong("always 0.5", "return f1_at(test, 0.5), max(f1_at(test, t) for t in thresholds)", "validation micrographs alone"),
        ],
        "faults": [
            Wrong("all of them", "return {s.letter for s in paper}", "five statements"),
            Wrong("none right", "return set([s.letter for s in paper if not s.fault][:5])", "none of your five"),
            Wrong(
                "three right",
                "a, b = [s.letter for s in paper if s.fault], [s.letter for s in paper if not s.fault]\n"
                "return {*a[:3], *b[:2]}",
                "you missed concerns",
                3,
            ),
        ],
        "picker": [
            Wrong(
                "no blur",
                "y, x = peak_local_max(-micrograph.data, min_distance=19).T\n"
                "return coordinates.table(micrograph.name, x, y, 0.5, DIAMETER)",
                "blur",
            ),
            Wrong(
                "bright blobs",
                "y, x = peak_local_max(gaussian_filter(micrograph.data, 8), min_distance=19).T\n"
                "return coordinates.table(micrograph.name, x, y, 0.5, DIAMETER)",
                "dark",
            ),
            Wrong("nothing", "return coordinates.table(micrograph.name, [], [], [], DIAMETER)", "no picks"),
            Wrong("known places", "return known.assign(micrograph=micrograph.name, score=1.0)", "`known`"),
            Wrong(
                "wide blobs",
                "p = -gaussian_filter(micrograph.data, 8)\ny, x = peak_local_max(p, min_distance=19).T\n"
                "k = p[y, x] > threshold_otsu(p[y, x])\n"
                "return coordinates.table(micrograph.name, x[k], y[k], 0.5, DIAMETER)",
                "dark ring",
            ),
        ],
        "agreement": [
            Wrong("share of the first", "return shared / first", "the first one's"),
            Wrong("not doubled", "return shared / (first + second)", "twice"),
            Wrong("intersection over union", "return shared / (first + second - shared)", "intersection over union"),
        ],
        "label": [
            Wrong("too few", "return cautious.iloc[:3].assign(x=cautious['x'] + 1)", "no label"),
            Wrong("copied", "return generous", "yourself"),
            Wrong(
                "corners",
                "return pickers.create('template', diameter=DIAMETER).fit([faint]).pick(faint).eval('x = x - 19\\ny = y - 19')",
                "on nothing",
            ),
            Wrong("a grid", "x, y = np.mgrid[20:500:40, 20:500:40].reshape(2, -1)\n"
                  "return coordinates.table(faint.name, x, y)", "on nothing"),
            Wrong("of another micrograph", 'return cautious.assign(micrograph="other").query("micrograph == @faint.name")', "column `micrograph`"),
            Wrong("not saved", 'return coordinates.read("my_labels.csv", micrograph=faint.name)', "my_labels.csv"),
        ],
    },
}  # fmt: skip
