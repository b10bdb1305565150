"""The root of every complaint about what a person wrote: recipe, rig file, model file, folder."""

from __future__ import annotations


class BadInput(Exception):
    """Something that was typed or written cannot be used; the text names file, place and cure."""
