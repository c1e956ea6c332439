"""Ours and the peers' beside each other, in one run, on the same data: `python -m benchmarks.bench --help`."""
