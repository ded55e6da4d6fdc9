"""Training: one loss, one step or one task in a file, and `fit`, the loop that all models share.

    retriever   NextItemData.of(films)   SASRec, GRU4Rec          loss_over_all_items       (next_item)
    ranker      ClickData.of(films)      DIN, DIEN, MeanPooling   click_loss                (clicks)

From ratings to a list of films, and what drew the attention, in ten seconds:

    from recattn_mini.data import movielens
    from recattn_mini.models.sasrec import SASRec
    from recattn_mini.training.fit import fit
    from recattn_mini.training.next_item import NextItemData, loss_over_all_items

    data = NextItemData.of(movielens.load(), length=25)
    model = SASRec(data.n, d=32, h=2, length=data.length, blocks=1, dropout=0.2)
    fit(model, data, loss_over_all_items, epochs=12, learning_rate=0.01)
    print(data.evaluate(model))
    print(data.recommend(model, user=1, k=10))

In the order to read them:

    losses           binary_cross_entropy, bpr_loss, softmax_loss, sampled_softmax_loss, gbce_loss
    steps            sgd_step, adam_step, clip_gradient_norm
    the loop         fit, checkpoint, not_finite
    tasks            next_item, clicks, recommendations
"""

from recattn_mini._submodules import submodules

__getattr__, __dir__ = submodules(__name__)
