"""Panel: people who know the writer decide. An evaluation's answers into a page for them, and the files they save into figures.

Others use `build.build_panel` and `read.read_panel`. Imports page (to find a version's evaluation) and what is below.
"""
