"""Domain logic of flows and users: plain Python without I/O."""
