"""A stand-in for the myCobot 280 and 320, with the joints behind it."""
