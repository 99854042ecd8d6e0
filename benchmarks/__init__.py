"""Measurements, by `python -m benchmarks NAME`: ratios taken side by side in one run, never tests."""
