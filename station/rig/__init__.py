"""The rig: its file, its opened devices, and the simulated rig's process."""
