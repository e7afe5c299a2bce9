"""Where jobs are kept: the interface, the store thread, and SQLite behind them."""
