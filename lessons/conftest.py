"""`pytest lessons` judges the notebooks, and runs none of the programs that make them."""

collect_ignore_glob = ["*.py"]
