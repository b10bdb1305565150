"""Normals under light that bounces: lit sets that are earned, bounced light estimated and taken off, and a true doubt.

`refine` is the entry. The first solution stays as it is; this stage runs behind it, where there is time.
"""
