"""What people read in their language: one catalogue for each besides English, by the English words in the code.

Others use `catalogue.say`. Imports nothing of the project.
"""
