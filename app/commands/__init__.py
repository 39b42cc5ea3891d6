"""Terminal commands, one file per noun."""
