"""What Dots would keep: flows and users, and the rules by which a payee changes them. No I/O."""
