"""Domain-free tools, each in a module with a real name; no room's words appear here."""
