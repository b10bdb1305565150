"""Published kinds of detectors on the same data, with the same calibration: what CPRN has to beat."""
