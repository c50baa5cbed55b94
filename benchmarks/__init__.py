"""Speed of mechkit beside plain PyTorch, always as a ratio within one run, after both sides were shown to agree."""
