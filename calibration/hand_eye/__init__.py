"""How the camera sits on the arm: hand-eye calibration, its checks, and where to send the arm.

`start` solves for the mount in closed form, `adjust` refines it together with everything else, `check` names faults,
`aim` sends the arm to where a camera sees what another one saw. Poses are (4, 4) matrices in mm.
"""
