"""How the camera sits on the arm: hand-eye calibration, its checks, and where to send the arm."""
