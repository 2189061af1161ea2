"""`python -m executor_sdk.cli` is `executor`."""

from __future__ import annotations

import sys

from executor_sdk.cli import main

sys.exit(main())
