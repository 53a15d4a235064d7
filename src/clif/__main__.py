"""`python -m clif` is the program `clif`."""

import sys

from clif.cli import main

sys.exit(main())
