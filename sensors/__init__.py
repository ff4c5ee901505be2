"""What starts work, and what raises the alarm."""
