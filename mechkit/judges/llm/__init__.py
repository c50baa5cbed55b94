"""The judge that asks a language model, in parts: the judge, the service behind it, its budget and its estimates."""
