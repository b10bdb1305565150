"""Stand-ins for the controllers' firmware, in simulated time."""
