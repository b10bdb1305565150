"""`station run`: the engine as a service without a window."""
