"""`python -m runner`, and the console script."""

from __future__ import annotations

import gc

gc.disable()  # What imports create stays for good: to look for garbage in it is a tenth of the start.

from runner.cli.main import main  # noqa: E402 - its imports are those that must not be collected

if __name__ == "__main__":
    main()
