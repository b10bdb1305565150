"""`station inspect`: one part from the fixture to the archive."""
