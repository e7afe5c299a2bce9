"""``python -m queuectl`` and the command ``queuectl``."""

from queuectl.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
