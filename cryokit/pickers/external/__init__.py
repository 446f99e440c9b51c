"""Pickers that are other people's programs: run by their command line, each from an environment of its own."""
