"""The world of a simulated rig: what lies in the fixture, where the camera really stands, what it sees.

`fixture.py` is the part and whatever was built not quite as drawn, `visits.py` the true poses, `exposures.py` one
exposure, `truth.py` the answers that only a simulated rig can give, `world.py` all of them together.
"""
