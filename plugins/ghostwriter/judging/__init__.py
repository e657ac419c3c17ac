"""Judging: a finished evaluation into a verdict, and a verdict into a moved alias.

Others use `gate.decide`, `promote.promote` and `moves`. Imports distilling and teacher (the judge asks through the same ledger).
"""
