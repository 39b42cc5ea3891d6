"""dots-gateway: creates Dots flows over plain HTTP and reports reliably what payees did."""
