"""``python -m spatgmm``: the command line."""

from spatgmm.cli import console

console()
