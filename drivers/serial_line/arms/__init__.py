"""What every arm on a serial port shares: the latch of trust, the ways around keep-out boxes, their settings."""
