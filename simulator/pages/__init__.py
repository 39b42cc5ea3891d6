"""The hosted pages a payee clicks through, and the developer's index page."""
