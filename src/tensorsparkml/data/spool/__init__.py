"""The spool: rows as segment files, their transport, and their order."""
