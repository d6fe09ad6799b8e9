"""How fast mail may go: to each mailbox provider and through each relay, for all workers together."""
