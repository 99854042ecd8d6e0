"""`python -m runner`, and the console script."""

from __future__ import annotations

import gc

gc.disable()  # What imports create stays for good: to look for garbage in it is a tenth of the start.

from runner.cli.main import main  # noqa: E402  # after the line above, on purpose

if __name__ == "__main__":
    main()
