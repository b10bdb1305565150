"""What is drawn: each module holds one part of the window. Widgets show what they are given and decide nothing."""
