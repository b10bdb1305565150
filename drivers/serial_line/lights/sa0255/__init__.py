"""Light controllers of the `SA0255#` family."""
