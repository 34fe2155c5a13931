"""What predictions are for: effects of variants, new promoters, and how promoters evolve."""
