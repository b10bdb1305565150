"""Every command of `station`: its arguments, its text, its exit code.

A module or folder is named after its command or group, and `app` lists them all. Modules that `app` imports
load only typer and small types; each command imports its work when it is called.
"""
