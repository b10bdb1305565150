"""Every command of `station`: its arguments, its text, its exit code."""
