"""Shared by all routes: problem documents, request rules, request log, examples."""
