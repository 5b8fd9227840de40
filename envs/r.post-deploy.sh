#!/usr/bin/env bash
# The film's dose maps: a package whose own dependencies, a desktop program's, are not wanted.
set -euo pipefail
python -m pip install --no-deps dosepy==0.12.2
