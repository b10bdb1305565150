"""The station: recipe to plan, capture, photometric stereo, detector, verdict, archive, console."""
