"""What all tests share: no screen is needed, and inspections can be made up without a rig."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
