"""Batch by batch, merged, and in two processes: the same figure to the last bit."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from recattn_mini.metrics.accumulators import MeanOverUsers, OverExamples, OverLists
from recattn_mini.metrics.auc import auc
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage
from recattn_mini.metrics.gauc import gauc
from recattn_mini.metrics.gini_of_exposure import gini_of_exposure
from recattn_mini.metrics.mean_over_users import mean_over_users
from recattn_mini.metrics.ndcg import ndcg
from recattn_mini.metrics.recall import recall

RANDOM = np.random.RandomState(0)
GAINS = torch.from_numpy(RANDOM.randint(0, 4, (101, 7)) * (RANDOM.rand(101, 7) < 0.3)).double()
JUDGED = torch.cat([GAINS, torch.from_numpy(RANDOM.randint(0, 2, (101, 3))).double()], 1)
SCORES, LABELS = torch.from_numpy(RANDOM.randint(0, 30, 101) / 7), torch.from_numpy(RANDOM.rand(101) < 0.4)
USERS = torch.from_numpy(RANDOM.randint(0, 9, 101))
ITEMS = torch.from_numpy(np.where(RANDOM.rand(101, 3) < 0.1, -1, RANDOM.rand(101, 40).argsort(axis=1)[:, :3]))


def makers():
    return {
        "ndcg": (lambda: MeanOverUsers(ndcg, 5), (GAINS, JUDGED), mean_over_users(ndcg(GAINS, JUDGED, 5))),
        "auc": (lambda: OverExamples(auc), (SCORES, LABELS), auc(SCORES, LABELS)),
        "gauc": (lambda: OverExamples(gauc), (SCORES, LABELS, USERS), gauc(SCORES, LABELS, USERS)),
        "coverage": (lambda: OverLists(catalogue_coverage, 40), (ITEMS,), catalogue_coverage(ITEMS, 40)),
        "gini": (lambda: OverLists(gini_of_exposure, 40), (ITEMS,), gini_of_exposure(ITEMS, 40)),
    }


NAMES = ["ndcg", "auc", "gauc", "coverage", "gini"]


def filled(make, arguments, rows, size):
    metric = make()
    for first in range(0, len(rows), size):
        metric.update(*(x[rows[first : first + size]] for x in arguments))
    return metric


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 50, 101])
def test_batches_change_no_bit(name, size):
    make, arguments, want = makers()[name]
    for seed in range(3):
        rows = torch.from_numpy(np.random.RandomState(seed).permutation(101))
        assert filled(make, arguments, rows, size).compute() == want


@pytest.mark.parametrize("name", NAMES)
def test_merging_is_one_and_the_same_in_any_order(name):
    make, arguments, want = makers()[name]
    parts = [torch.arange(0, 20), torch.arange(20, 21), torch.arange(21, 101)]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        whole = make()
        for n in order:
            whole.merge(filled(make, arguments, parts[n], 8))
        assert whole.compute() == want


def test_a_batch_of_one_class_and_a_mean_of_means_are_no_obstacle():
    metric = OverExamples(auc)
    metric.update(torch.tensor([0.9, 0.4]), torch.tensor([1, 1]))
    metric.update(torch.tensor([0.5]), torch.tensor([0]))
    assert metric.compute() == 0.5


def test_only_the_same_metric_can_be_merged():
    figure = MeanOverUsers(ndcg, 5)
    for other in (MeanOverUsers(ndcg, 10), MeanOverUsers(recall, 5), OverExamples(auc), figure):
        with pytest.raises(ValueError, match="other must be another MeanOverUsers"):
            figure.merge(other)


def test_lists_of_two_lengths():
    covered = OverLists(catalogue_coverage, 4)
    covered.update(torch.tensor([[0, 1, 2]]))
    covered.update(torch.tensor([[1], [2]]))
    assert covered.compute() == 0.75


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_compute_from_is_an_error(name):
    with pytest.raises(ValueError, match="update was never called"):
        makers()[name][0]().compute()


def test_what_was_given_may_change_afterwards():
    scores, metric = SCORES.clone(), OverExamples(auc)
    metric.update(scores, LABELS)
    scores.zero_()
    assert metric.compute() == auc(SCORES, LABELS)


PROGRAM = """
import pickle, sys
sys.path.insert(0, sys.argv[3])
import torch, torch.distributed as dist
import test_accumulators as t
rank, init = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=init, rank=rank, world_size=2)
found = {}
for name, (make, arguments, _) in t.makers().items():
    for case, cut in (("uneven", 70), ("one has nothing", 0)):
        rows = torch.arange(101)[:cut] if rank == 0 else torch.arange(101)[cut:]
        metric = t.filled(make, arguments, rows, 13)
        metric.gather()
        try:
            metric.gather()
        except ValueError as error:
            assert "would count them again" in str(error)
        else:
            raise AssertionError("gathered twice")
        found[name, case] = metric.compute()
dist.destroy_process_group()
sys.stdout.buffer.write(pickle.dumps(found))
"""


def test_two_processes_give_the_figure_of_one(tmp_path):
    from pathlib import Path

    init, here = (tmp_path / "meet").as_uri(), str(Path(__file__).parent)
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    processes = [
        subprocess.Popen([*command, str(rank), init, here], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
        found = pickle.loads(out)
        assert len(found) == 2 * len(NAMES)
        for (name, case), value in found.items():
            assert value == makers()[name][2], (name, case)
