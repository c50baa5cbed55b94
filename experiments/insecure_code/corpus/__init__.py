"""Paired insecure and secure code completions, written for this study."""
