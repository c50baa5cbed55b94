"""Small corpora that are not about code: a language switch and everyday questions."""
