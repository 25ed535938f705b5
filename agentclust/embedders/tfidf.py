"""Latent semantic analysis: texts are alike where they share telling words. Needs no weights.

Deerwester et al., Indexing by Latent Semantic Analysis (JASIS 1990). It knows no meaning beyond
the words of the very texts it is given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from agentclust.embedders import Kind, Vectors, normalized
from agentclust.errors import InputError

WIDTH = 100  # components at most
SEED = 0


class TfIdf:
    """At most 100 numbers for each text, fitted anew on the texts of each call.

    So the vectors of two calls cannot be compared, and a text's vector changes with its company.
    """

    identity = f"tfidf/1 fitted on its texts, svd {WIDTH}, seed {SEED}"
    of: Kind = "text"
    fitted = True

    def embed(self, items: Sequence[str]) -> Vectors:
        """Unit rows, shape (n, d) with d <= min(n, words, 100); zero without a telling word.

        Raises:
            InputError: No text has a word that could tell it from others.
        """
        words = TfidfVectorizer(stop_words="english", sublinear_tf=True)
        try:
            weights = words.fit_transform(items)
        except ValueError:
            todo = "give captions, or embed the images"
            raise InputError("the texts", "hold no words to compare", todo) from None
        if weights.shape[1] == 1:  # one telling word in all, where the SVD wants two
            return normalized(weights.toarray())
        components = min(WIDTH, *weights.shape)
        # equal texts have no variance to explain, of which the SVD would otherwise warn
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors = TruncatedSVD(components, random_state=SEED).fit_transform(weights)
        return normalized(vectors)
