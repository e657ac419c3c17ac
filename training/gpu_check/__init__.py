"""Does this card train and answer as it should? A model of random weights through the real stages, and one text to show.

`python -m training.gpu_check` (see `make gpu-check`). Imports everything below; nothing imports it.
"""
