"""This project and its peers, measured in one run on the same data: `python -m benchmarks.bench --help`."""
