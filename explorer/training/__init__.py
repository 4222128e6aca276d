"""Training upsamplers: both papers' recipes, FeatUp's, and what small budgets need."""
