"""dots-gateway: create Dots flows over plain HTTP, and learn reliably what payees did."""
