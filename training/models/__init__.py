"""Models: the name of a base or a folder of an adapter into a model ready for use.

Others use `model.load_base`, `base_models.prepare` and `decoder` (decoder and head apart). Imports rows.
"""
