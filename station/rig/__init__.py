"""The rig: its file, its open devices, and the simulated rig's process."""
