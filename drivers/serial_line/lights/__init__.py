"""Light controllers: Gardasoft RT, CCS and the `SA0255#` family."""
