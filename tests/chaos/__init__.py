"""Chaos: everything is broken at random while a client asks for thousands of things; then a checker counts.

`make chaos SEED=7 MINUTES=5` runs it; docs/reliability.md says what it does and what it found.
"""
