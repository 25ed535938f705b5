"""Why images are where they are: the evidence in the image, or in the words of its caption.

A run that clustered embeddings of images is explained by heat maps, any other by the words of the
captions; both with the nearest neighbours in the embedding. Nothing here changes a result, and no
language model is asked unless the work has one.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentclust import edits
from agentclust.edits import Grouping
from agentclust.embedders import Kind
from agentclust.explaining import by_images, by_words
from agentclust.explaining.choosing import MOST, named, some
from agentclust.explaining.explained import Explained, Explanation, as_text
from agentclust.pages import mapping
from agentclust.run.record import read_clustering
from agentclust.sessions import looking
from agentclust.types import Sample
from agentclust.work import Work

__all__ = ["MOST", "Explained", "Explanation", "as_text", "explain"]


def explain(work: Work, images: Sequence[str] = (), most: int = MOST) -> Explained:
    """Explain why images of a run are where they are.

    Args:
        work: The run, with a result; where it has a language model, that is asked how probable it
            takes each group to be, as by `agentclust.sessions.looking.why`.
        images: Which, by id or by the path of the file, or by the end of either; by default the
            prototypes of each cluster, the most confident and the most central members, and its
            most doubtful one. What is central is known where the run has a map.
        most: How many at most, where none are named.

    Raises:
        InputError: An image is unknown, the run has no result or neither captions nor images, or
            its vectors are damaged or of an embedder that is not here.
        ImageProblem: The vectors of images are not kept, and an image is gone.
    """
    grouping = edits.edited(work)
    clustering = read_clustering(work.run.folder)
    placed = None if images else mapping.read(work.run.folder)
    central = mapping.central(clustering, placed) if placed else {}
    chosen = named(clustering, images) if images else some(clustering, central, most)
    samples = {s.id: s for s in work.samples if s.id in set(chosen)}
    told = [_told(work, grouping, samples[sample_id]) for sample_id in chosen]
    explained = by_images.explain if _kind(work) == "image" else by_words.explain
    return explained(work, grouping, told)


def _kind(work: Work) -> Kind:
    """What the groups of the run were made from."""
    of: Kind | None = (work.run.read("clusters.json") or {}).get("of")
    return of or ("text" if work.run.step_rows("captions").known else "image")


def _told(work: Work, grouping: Grouping, sample: Sample) -> Explanation:
    """What the run itself says of a sample."""
    row = grouping.rows[sample.id]
    caption = work.run.step_rows("captions").known.get(sample.id, {})
    label = work.run.step_rows("labels").known.get(sample.id, {})
    return Explanation(
        id=sample.id,
        path=str(sample.file or ""),
        name=row["name"],
        confidence=float(row["confidence"]),
        told=looking.why(work, grouping, {"sample": sample.id})[0],
        caption=str(caption.get("caption", "")),
        raw_label=str(label.get("label", "")),
        probabilities=looking.probabilities(work, sample.id),
    )
