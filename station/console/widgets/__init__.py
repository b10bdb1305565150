"""What is drawn: each module holds one part of the window. Widgets show what they are given and decide nothing.

They know neither the engine nor the bridge. A press leaves as a Qt signal, which the window connects.
"""
