"""The comparison of methods: the same micrographs, the same split, the same matching for all of them.

A run (`cryokit.benchmark.run`) goes through cells: one method on one dataset with one seed, each in a process of its
own. Its result is one JSON file (`cryokit.benchmark.results`), from which tables (`cryokit.benchmark.summary`), reports
and the repository's ``RESULTS.md`` are made.
"""
