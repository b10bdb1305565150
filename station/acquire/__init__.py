"""From a recipe to frames: the plan, and the only code that commands devices."""
