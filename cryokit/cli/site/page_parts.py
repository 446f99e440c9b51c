"""An extension of Sphinx for the site: alternative texts of pictures, links to the glossary, no wrong links in types.

Reads the file ``page_parts.json`` beside ``conf.py``: ``{"pictures": {HASH: TEXT}, "terms": [TERM, ...]}``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes

from cryokit.cli.site.gallery import anchor

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# What holds names and headings rather than sentences, or leads somewhere already
_LEFT_ALONE = (
    *(nodes.title, nodes.literal, nodes.literal_block, nodes.reference, nodes.math, nodes.math_block, nodes.raw),
    *(addnodes.pending_xref, nodes.caption, nodes.table),
)
FILE = "page_parts.json"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    parts = json.loads((Path(app.srcdir) / FILE).read_text(encoding="utf-8"))
    pattern = _pattern(parts["terms"])

    def change(app: Sphinx, doctree: nodes.document) -> None:
        _describe(doctree, parts["pictures"])
        _unlink_words(doctree)
        if app.env.docname.startswith("lessons/") and parts["terms"]:
            _link(doctree, pattern, {term.lower(): term for term in parts["terms"]})

    # Before Sphinx copies the pictures and resolves the references.
    app.connect("doctree-read", change)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _describe(doctree: nodes.document, texts: dict[str, str]) -> None:
    for image in doctree.findall(nodes.image):
        name = PurePosixPath(image["uri"]).stem
        if name in texts:
            image["alt"] = texts[name]
            image["ids"].append(anchor(name))


def _unlink_words(doctree: nodes.document) -> None:
    """Remove links from the words of types that are no classes: "array of this shape" is not about an attribute."""
    for reference in list(doctree.findall(addnodes.pending_xref)):
        of_type = reference.get("refdomain") == "py" and reference.get("refspecific")
        if of_type and not reference["reftarget"].rpartition(".")[2][:1].isupper():
            reference.replace_self(nodes.inline("", reference.astext()))


def _pattern(terms: list[str]) -> re.Pattern:
    """Return a pattern for terms, the longest first, in the singular or the plural."""
    words = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?P<term>{words})(?:s|es)?(?![\w-])", re.IGNORECASE)


def _link(doctree: nodes.document, pattern: re.Pattern, terms: dict[str, str]) -> None:
    """Link the first mention of every term in a running text to the glossary."""
    linked = set()
    for text in list(doctree.findall(nodes.Text)):
        paragraph, parent = text.parent, text.parent
        while parent is not None and not isinstance(parent, nodes.document):
            if isinstance(parent, _LEFT_ALONE) or "cell_output" in parent.get("classes", ()):
                break
            parent = parent.parent
        else:
            new, end = [], 0
            for match in pattern.finditer(text.astext()):
                term = terms[match["term"].lower()]
                # Abbreviations are written as they are: "map" is no "MAP".
                if term in linked or (term.isupper() and match["term"] != term):
                    continue
                linked.add(term)
                reference = addnodes.pending_xref(
                    "", refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True
                )
                reference += nodes.inline(match[0], match[0], classes=["xref", "std", "std-term"])
                new += [nodes.Text(text.astext()[end : match.start()]), reference]
                end = match.end()
            if new:
                paragraph.replace(text, [*new, nodes.Text(text.astext()[end:])])
