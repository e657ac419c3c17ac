"""The experiment that compares voices: which arm makes a small model write most like the demo's writer. `python -m benchmarks.voices`."""
