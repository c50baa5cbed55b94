"""The recipe that every study of a trait shares: train, evaluate, measure, link, report."""
