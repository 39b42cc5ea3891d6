"""Flows and users in memory, and the rules by which payees change them. No I/O."""
