"""Gardasoft RT light controllers."""
