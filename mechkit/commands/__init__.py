"""Commands that need no probes (`mechkit bench`, `mechkit doctor`), and what all commands share."""
