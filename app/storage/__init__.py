"""Everything SQL-shaped: the database, its tables, and the statements over them."""
