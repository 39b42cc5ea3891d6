"""The Dots API as callers see it, mounted at `/api`."""
