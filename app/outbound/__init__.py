"""Where events go, and in which envelope."""
