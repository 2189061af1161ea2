"""A module that ends the process when it is imported, for the tests of the command line."""

from __future__ import annotations

import sys

sys.exit(5)
