"""`python -m training.arithmetic`."""

import sys

from training.arithmetic.check import main

if __name__ == "__main__":
    sys.exit(main())
