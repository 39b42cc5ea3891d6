"""Everything that runs the service without Docker: embedded Postgres, dev, demo."""
