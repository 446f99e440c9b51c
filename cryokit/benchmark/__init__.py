"""Comparison of methods on the same micrographs, with the same splits and the same matching for all of them.

A run (`cryokit.benchmark.run`) consists of cells: one method on one dataset with one seed, each in a process of its
own. Its result is one JSON file (`cryokit.benchmark.result_file`), from which summaries (`cryokit.benchmark.summary`),
reports and the repository's ``RESULTS.md`` are made.
"""
