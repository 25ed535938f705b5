"""The losses against their definitions written out, and what speaks against an outcome."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from agentclust.clusterers import selflabel
from agentclust.clusterers.doubts import agreement, doubts
from agentclust.clusterers.neighbours import neighbours
from agentclust.clusterers.scan import SemanticClustering
from agentclust.clusterers.temi import SelfDistillation
from agentclust.clusterers.training import Plan, begun, train
from tests.test_clusterers import bunches

# the losses, against their definitions written out


def pairs(seed=0):
    random = torch.Generator().manual_seed(seed)
    rows = torch.randn(7, 5, generator=random)
    left, right = torch.tensor([0, 1, 2, 0]), torch.tensor([3, 4, 2, 6])
    return rows, left, right


PLAN = Plan(5, 4, 0.01, 0, 1e-4, 0.9, 5, -1.0)


def test_the_loss_of_temi_is_the_papers():
    objective = SelfDistillation(3, 8, 4, beta=0.6, temperature=0.1)
    rows, left, right = pairs()
    training = begun(objective, rows, 4, PLAN, 0)
    for weights in training.teacher:
        weights.add_(0.1 * torch.randn(weights.shape, generator=training.random))
    shares_before = training.shares.clone()
    found = objective.losses(training, rows, left, right)

    student = objective.logits(training.student, rows).softmax(-1).detach().numpy()
    teacher = objective.logits(training.teacher, rows).softmax(-1).numpy()
    weight = np.mean([(teacher[h][left] * teacher[h][right]).sum(1) for h in range(3)], axis=0)
    for h in range(3):
        seen = np.concatenate([teacher[h][left], teacher[h][right]]).mean(axis=0)
        rarity = 0.9 * shares_before[h, 0].numpy() + 0.1 * seen
        assert np.allclose(training.shares[h, 0], rarity, atol=1e-6)
        both = []
        for a, b in ((left, right), (right, left)):
            inside = (student[h][a] * teacher[h][b]) ** 0.6 / rarity
            both.append(np.log(inside.sum(axis=1)))
        assert float(found[h].detach()) == pytest.approx(
            -np.mean(weight * (both[0] + both[1]) / 2), abs=1e-5
        )


def test_the_loss_of_scan_is_the_papers():
    objective = SemanticClustering(2, entropy_weight=5.0)
    rows, left, right = pairs()
    training = begun(objective, rows, 3, PLAN, 0)
    found = objective.losses(training, rows, left, right).detach().numpy()
    shares = objective.logits(training.student, rows).softmax(-1).detach().numpy()
    for h in range(2):
        same = np.log((shares[h][left] * shares[h][right]).sum(axis=1)).mean()
        mean = shares[h][left].mean(axis=0)
        assert found[h] == pytest.approx(-same + 5 * (mean * np.log(mean)).sum(), abs=1e-5)


def test_a_head_among_many_is_that_head_alone():
    objective = SelfDistillation(3, 8, 4, beta=0.6, temperature=0.1)
    rows, _, _ = pairs()
    weights = objective.begin(5, 4, torch.Generator().manual_seed(0))
    together = objective.logits(weights, rows)
    for h in range(3):
        first, first_bias, second, second_bias, directions, lengths = (w[h] for w in weights)
        inner = torch.nn.functional.gelu(rows @ first.T + first_bias)
        sphere = torch.nn.functional.normalize(inner @ second + second_bias, dim=1)
        cosines = sphere @ torch.nn.functional.normalize(directions, dim=0)
        assert torch.allclose(together[h], cosines * lengths / 0.1, atol=1e-5)


def test_the_teacher_follows_the_student():
    X, _ = bunches(3)
    rows = torch.from_numpy(X.astype(np.float32))
    near = torch.from_numpy(neighbours(X.astype(np.float32), 5))
    objective = SelfDistillation(2, 8, 4, beta=0.6, temperature=0.1)
    training = begun(objective, rows, 3, PLAN, 0)
    start = [weights.clone() for weights in training.teacher]
    train(training, objective, rows, near, Plan(1, 90, 0.01, 0, 0.0, 0.9, 5, -1.0))
    for before, student, teacher in zip(start, training.student, training.teacher, strict=True):
        assert torch.allclose(teacher, 0.9 * before + 0.1 * student.detach(), atol=1e-6)
    assert torch.equal(training.student[4].detach(), start[4])  # rests in the first epoch
    assert not torch.equal(training.student[0].detach(), start[0])


def test_neighbours_are_the_nearest_but_oneself(monkeypatch):
    import agentclust.clusterers.neighbours as module

    monkeypatch.setattr(module, "BLOCK", 7)
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = neighbours(rows, 5)
    alike = rows @ rows.T - 9 * np.eye(40)
    assert np.array_equal(found, np.argsort(-alike, axis=1)[:, :5])
    assert neighbours(rows[:3], 9).shape == (3, 2)


# what speaks against the outcome


def test_a_worse_grouping_is_doubted():
    X, truth = bunches(4)
    rows = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    near = neighbours(rows, 5)
    assert agreement(truth, near) == pytest.approx(1)
    assert abs(agreement(np.random.default_rng(0).permutation(truth), near)) < 0.1
    assert doubts(rows, near, truth, truth, 0) == []
    mixed = np.where(truth == 3, np.arange(len(truth)) % 3, truth)
    sentences = doubts(rows, near, mixed, truth, 0)
    assert [sentence.split(" ")[0] for sentence in sentences] == ["neighbours", "the"]


def confident(rows, sizes):
    """A linear head whose clusters are the directions of `rows`, one after the other."""
    objective = SemanticClustering(1, 5.0)
    centres = np.stack([part.mean(axis=0) for part in np.split(rows, np.cumsum(sizes)[:-1])])
    return objective, [torch.from_numpy(40 * centres[None]), torch.zeros(1, len(sizes))]


def test_self_labelling_keeps_what_is_right_and_refuses_a_collapse():
    X, truth = bunches(3, each=30)
    rows = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    objective, head = confident(rows, [30, 30, 30])
    plan = Plan(20, 32, 0.01, 0, 1e-4, 0.0, 5, -1.0)
    inner = torch.from_numpy(rows)
    taken, doubt = selflabel.self_labelled(objective, head, inner, plan, 0.99, 0)
    assert doubt == ""
    assert adjusted_rand_score(truth, objective.logits(taken, inner)[0].argmax(1)) == 1
    assert not torch.equal(taken[0], head[0])
    kept, doubt = selflabel.self_labelled(objective, head, inner, plan, 1.0, 0)
    assert kept is head
    assert doubt == "no row is surer than 1.0: nothing to learn from in self-labelling"
    # one cluster is never sure, and its rows lie between the others: it is overrun
    unsure = [head[0].clone(), head[1].clone()]
    unsure[0][0, 2] = 0.51 * (head[0][0, 0] + head[0][0, 1])
    between = torch.nn.functional.normalize(inner[:30] + inner[30:60])
    overrun = torch.cat([inner[:60], between])
    steep = Plan(60, 90, 1.0, 0, 0.0, 0.0, 5, -1.0)
    kept, doubt = selflabel.self_labelled(objective, unsure, overrun, steep, 0.99, 0)
    assert kept is unsure
    assert "of its members in self-labelling: the clusters of before are kept" in doubt
