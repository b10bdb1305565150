"""The commands of `station calibrate` on a rig: each opens it, measures, and returns a report with `as_text`."""
