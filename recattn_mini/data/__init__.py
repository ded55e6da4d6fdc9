"""Data: what the lessons train and measure on. Ids start at 1 everywhere, so that 0 is free for padding."""
