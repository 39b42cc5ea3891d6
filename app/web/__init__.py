"""HTTP in and out: routes, access, error responses."""
