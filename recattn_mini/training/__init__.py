"""Training: one loss, one step or one task in a file, and `fit`, the loop that all models share.

    retriever   NextItemData.of(films)   SASRec, GRU4Rec          loss_over_all_items       (next_item)
    ranker      ClickData.of(films)      DIN, DIEN, MeanPooling   click_loss                (clicks)

`fit(model, data, loss)`, then `data.evaluate(model)` and `data.recommend(model, user=1)`: the README has an example.
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
