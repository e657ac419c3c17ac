"""Rows: messages into token ids with a mask of what is trained on, in their order, packed end to end.

Others use `data.load_rows`, `packing.pack` and `order.rows_of_step`. Imports the contract and errors only.
"""
