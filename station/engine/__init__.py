"""States and verbs over one rig: what starts, stops, aborts and resets an inspection. No Qt."""
