"""Studies: each is a trait's configuration and data over the shared recipe in `experiments.study`."""
