"""Maintenance: retention, gauges and health."""
