"""What every arm on a serial line shares: the latch, the ways around keep-out boxes, their settings."""
