"""``python -m spatgmm``: the command line."""

import sys

from spatgmm.cli import main

sys.exit(main())
