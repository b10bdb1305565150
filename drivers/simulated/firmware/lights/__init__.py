"""Stand-ins for the light controllers, with the lamps behind them."""
