"""Training: one loss, one step or one task in a file, and `fit`, the loop that all models share."""
