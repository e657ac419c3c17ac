"""Remote data: the folders a request names, fetched from an fsspec URL, and results sent back while a stage works.

Others use `remote_data.fetch_inputs` and `sending.sending`. Imports models (where a base lies) and tracking (what was sent).
"""
