"""Viewpoints: taught, measured, entered into the record, checked for drift."""
