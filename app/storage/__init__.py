"""Shared by all SQL: connections, transactions, notifications, the tables and the check of the schema."""
