"""Measure how fast the explorer's page is in a browser: until a micrograph is shown, and for each redraw.

    python benchmarks/explorer_speed.py --out explorer_speed.json [--repeats 3] [--browser /usr/bin/chromium]

The page shows one micrograph of 4096 x 4096 with random picks and as many random particles, in a window of 1280 x 720.
*Shown* are the seconds from the start of loading until everything is drawn. *Redraw* are the milliseconds of script for
a frame while the picture is moved, and while the threshold moves; medians over 60 frames. Each figure is the median of
the repetitions, each with a new page.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from component1 import load, show

from cryokit._util.files import write_text
from cryokit._util.plain import json_text
from cryokit.coordinates import table
from cryokit.micrograph import Micrograph
from cryokit.plot.explorer import Page
from cryokit.plot.explorer.contents import Tables, pictures
from cryokit.plot.html_report import provenance

SIDE, DIAMETER = 4096, 50
NUMBERS = (1_000, 20_000)
FRAMES = 60
ACTIONS = {"moving": "explorer.pan(n % 2 ? 5 : -5, 0)", "threshold": f"explorer.setThreshold(n / {FRAMES})"}
FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"


def page_of(number: int, path: Path) -> Path:
    """Write a page with a number of picks, and as many particles."""
    rng = np.random.default_rng(0)
    micrograph = Micrograph(rng.normal(size=(SIDE, SIDE)), name="micrograph")
    labels = table("micrograph", *rng.uniform(0, SIDE - 1, (2, number)), diameter=DIAMETER)
    picks = table("micrograph", *rng.uniform(0, SIDE - 1, (2, number)), rng.random(number), DIAMETER)
    page = Page(f"{number} picks")
    page.add(micrograph, pictures(micrograph, DIAMETER))
    return page.write(path, Tables(["micrograph"], picks, labels))


def measure(context: Any, address: str) -> dict[str, float]:
    """Open a page once, and return its figures."""
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(address)
    page.evaluate("() => explorer.ready")
    figures = {"shown": page.evaluate("() => new Promise(requestAnimationFrame).then(() => performance.now())") / 1000}
    for name, action in ACTIONS.items():
        times = page.evaluate(
            f"""async () => {{
                explorer.times = [];
                for (let n = 0; n < {FRAMES}; n++) {{ {action}; await new Promise(requestAnimationFrame); }}
                return explorer.times;
            }}"""
        )
        figures[name] = statistics.median(times)
    page.close()
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="JSON", help="file for the results")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repetitions (default: 3)")
    parser.add_argument("--browser", default=shutil.which("chromium"), metavar="FILE", help="Chromium's program")
    options = parser.parse_args(arguments)
    if options.browser is None:
        parser.error("no chromium on the search path; name the program with --browser")
    from playwright.sync_api import sync_playwright

    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=FLAGS.split())
        for number in NUMBERS:
            path = page_of(number, Path(folder) / f"{number}.html").resolve()
            runs = [measure(browser, path.as_uri()) for _ in range(options.repeats)]
            medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            rows.append({"picks": number, "megabytes": path.stat().st_size / 1e6, **medians})
        version = browser.version
        browser.close()
    show(f"seconds until shown, milliseconds for a redraw; Chromium {version}, load {load()}", rows,
         {"picks": "", "megabytes": ".1f", "shown": ".2f", "moving": ".1f", "threshold": ".1f"})  # fmt: skip
    result = {"rows": rows, "browser": version, "repeats": options.repeats, "provenance": provenance()}
    write_text(options.out, json_text(result))


if __name__ == "__main__":
    main()
