"""The conformance vectors, and whether a decider answers as they want.

The files are data for any language (tests/vectors/README.md); here they are read and asked. Nothing here knows what the
right answer is: it stands in the files, written down from the rule book.
"""
