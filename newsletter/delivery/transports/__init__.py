"""How bytes leave: SMTP, spoken by ourselves."""
