"""Fuzzing of everything that reads files: `python -m fuzz NAME --seconds N`; without a name it lists the targets."""
