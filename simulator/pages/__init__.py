"""The hosted pages for payees and the overview for developers."""
