"""`station check`: what this machine lacks, and what a rig's devices are and can do."""
