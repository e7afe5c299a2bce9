"""``python -m queuectl`` and the command ``queuectl``."""

import gc

FEW_COLLECTIONS = 50_000
"""Containers made between two collections of garbage: more than a short command makes.
At the usual 700 Python looks for garbage again and again while it imports, and finds
none."""


def main() -> None:
    """Run the command line and exit with its status."""
    gc.set_threshold(FEW_COLLECTIONS)
    from queuectl import cli  # noqa: PLC0415 - its imports are what is to be spared

    cli.main()


if __name__ == "__main__":
    main()
