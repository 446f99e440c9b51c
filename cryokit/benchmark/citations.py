"""How a result was made, as a paragraph for a paper, and the papers that it cites, as BibTeX."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryokit._util.wording import plural
from cryokit.benchmark import summary
from cryokit.benchmark.latex import escape
from cryokit.benchmark.result_file import DONE, WIDE
from cryokit.benchmark.summary import Result

REFERENCES = Path(__file__).with_name("references.bib")
# picker -> its papers in references.bib; none for cryokit's own
PAPERS: Mapping[str, tuple[str, ...]] = {
    "auto": (),
    "template": ("Roseman2003",),
    "autocryopicker": ("AlAzzawi2019Auto",),
    "autocryopicker_published": ("AlAzzawi2019Auto",),
    "supercryoempicker": ("AlAzzawi2019Super",),
    "supercryoempicker_published": ("AlAzzawi2019Super",),
    "deepcryopicker": ("AlAzzawi2020",),
    "relion_template": ("Scheres2015",),
    "deepem": ("Zhu2017",),
    "deeppicker": ("Wang2016",),
    "pixer": ("Zhang2019",),
    "fastparticlepicker": ("Xiao2017",),
    "eman2_cnn": ("Bell2018",),
    "topaz": ("Bepler2019",),
    "cryolo": ("Wagner2019",),
    "apple": ("Heimowitz2018",),
}
_STATISTICS = ("Holm1979", "RaoWu1988")


def entries() -> dict[str, str]:
    """Return the entries of ``references.bib`` by key.

    Examples
    --------
    >>> "year = {2020}" in entries()["AlAzzawi2020"]
    True
    """
    text = REFERENCES.read_text(encoding="utf-8")
    return {re.match(r"@\w+\{(\w+)", entry)[1]: entry.strip() for entry in re.split(r"\n\n+(?=@)", text)}


def papers(method: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys of the papers of a method, which is an entry of ``methods`` of a result."""
    return PAPERS.get(method["picker"] or "", ())


def bibtex(result: Result) -> str:
    """Return the BibTeX of the papers that `paragraph` cites."""
    cited = {key for method in result["methods"].values() for key in papers(method)} | set(_STATISTICS)
    return "\n\n".join(entry for key, entry in entries().items() if key in cited) + "\n"


def paragraph(result: Result) -> str:
    """Return how the numbers came about, in LaTeX: data, methods, matching, statistics, versions."""
    names = summary.dataset_names(result) or list(result["datasets"])
    sets = []
    for name in names:
        dataset = result["datasets"][name]
        splits = {"train": "training", "validation": "validation", "test": "test"}
        numbers = [f"{len(dataset['micrographs'][split])} {word}" for split, word in splits.items()]
        sets.append(
            f"{escape(dataset['title'])} ({dataset['kind']}; {', '.join(numbers)} micrographs; "
            f"{dataset['particles']['test']} test particles, {dataset['diameter']:.0f} pixels across)"
        )
    methods = []
    for method in result["methods"].values():
        keys = papers(method)
        methods.append(escape(method["title"]) + (rf"~\cite{{{','.join(keys)}}}" if keys else ""))
    seeds = len({cell["seed"] for cell in result["cells"]})
    drawn = f"Methods that draw random numbers ran with {plural(seeds, 'seed')}. " if seeds > 1 else ""
    micrographs = " and seeds" if seeds > 1 else ""
    made = next((cell["provenance"] for cell in result["cells"] if cell["status"] == DONE), result["provenance"])
    packages = ", ".join(f"{escape(name)} {escape(version)}" for name, version in made["packages"].items())
    commits = summary.commits(result)
    state = f" (commit {escape(', '.join(commits))})" if commits else ""
    draw = "" if seeds < 2 else r", drawing one seed fewer than there are~\cite{RaoWu1988}"
    return (
        f"We compared {plural(len(methods), 'method')} of particle picking with cryokit {escape(made['cryokit'])}"
        f"{state} on {'; '.join(sets)}. The methods were {', '.join(methods)}. "
        "Each was fitted on the training micrographs; its threshold was chosen on the validation micrographs where "
        "there were any, and it was scored on the test "
        f"micrographs. {drawn}A pick was true if its centre lay within 0.25 diameters of a particle's ({WIDE:g} where "
        "stated); picks and particles were matched one to one with as many pairs as possible. F1 was pooled over the "
        f"test micrographs. Intervals are 95~\\% bootstrap intervals over micrographs{micrographs}{draw}. Methods were "
        "compared by permutation tests paired by micrograph, with p values corrected for all pairs of methods on a "
        f"dataset~\\cite{{Holm1979}}. Python {escape(made['python'])}, {packages}.\n"
    )
