"""CCS light controllers."""
