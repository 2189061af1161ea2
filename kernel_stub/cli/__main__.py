"""`python -m kernel_stub.cli` is `kernel-stub`."""

from __future__ import annotations

import sys

from kernel_stub.cli.console import main

sys.exit(main())
