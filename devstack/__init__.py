"""Runs the service without Docker: embedded Postgres and the commands `dev` and `demo`."""
