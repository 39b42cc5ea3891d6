"""Everything specific to Dots: signatures, the wire format, the HTTP client, the budget of calls."""
