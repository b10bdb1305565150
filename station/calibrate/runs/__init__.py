"""The procedures: each opens a rig, measures in order, and leaves a record or a verdict on one."""
