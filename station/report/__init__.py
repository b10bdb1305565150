"""What people see of an inspection outside the console: heat maps, thumbnails, contact sheets, text."""
