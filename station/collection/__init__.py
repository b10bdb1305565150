"""Parts taken to learn from: their raw frames on disk, with how they were taken and what is known of each part."""
