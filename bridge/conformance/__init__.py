"""The conformance vectors, and the comparison of an engine's decisions with them.

The files are data for any language (tests/vectors/README.md); this package reads and runs them. It does not know the
right decisions: the files have them, written from the rule book.
"""
