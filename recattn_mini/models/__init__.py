"""Recommenders: one model, one file, built from `attention/`; and the classical baselines that they have to beat."""
