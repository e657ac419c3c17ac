"""Export: an adapter into one folder that other programs run, with a card and a proof that it answers as the adapter does.

Others use `export.export`. Imports answer and models.
"""
