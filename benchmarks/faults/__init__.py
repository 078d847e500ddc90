"""The kill laboratory: see `benchmarks/faults/__main__.py`."""
