"""The six-axis arms myCobot 280 and 320."""
