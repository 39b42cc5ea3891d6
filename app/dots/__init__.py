"""Everything Dots-shaped: signatures, the wire format, the HTTP client; Dots' words inside, ours outside."""
