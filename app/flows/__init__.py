"""The state of flows and users: create, refresh, merge, discover, read."""
