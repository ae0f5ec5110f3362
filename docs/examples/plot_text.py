"""
Text: what SciPy's documentation is about
=========================================

Some thousand docstrings of SciPy, as sparse TF-IDF vectors. No matrix of the size documents times
documents is made, and X stays sparse throughout.
"""

import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score

from gemclust import GeminiClustering

MODULES = ["fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse"]
MODULES += ["spatial.distance", "special", "stats"]


def docstrings(name):
    """The longer docstrings of the public functions and classes of a module of SciPy."""
    module = importlib.import_module(f"scipy.{name}")
    texts = {inspect.getdoc(getattr(module, public)) or "" for public in module.__all__}
    return sorted(text for text in texts if len(text) > 400)


texts, modules = [], []
for number, name in enumerate(MODULES):
    found = docstrings(name)
    texts += found
    modules += [number] * len(found)
modules = np.array(modules)

# %%
# Words that are in every other docstring ("parameters", "returns") say nothing, and names that are
# in a few only are noise.

vectorizer = TfidfVectorizer(
    stop_words="english", min_df=8, max_df=0.2, sublinear_tf=True, token_pattern=r"[a-z]{3,}"
)
X = vectorizer.fit_transform(texts)
print(f"{X.shape[0]:,} documents, {X.shape[1]:,} words, {X.nnz / np.prod(X.shape):.1%} not zero")

# %%
# Rows of TF-IDF have length 1, so that the linear kernel is the cosine similarity. With so many
# features the linear model is the right one.

model = GeminiClustering(len(MODULES), model="linear", random_state=0).fit(X)
print(f"ARI with the modules: {adjusted_rand_score(modules, model.labels_):.2f}")

# %%
# Each cluster by the words that are most over-represented in it, and where its documents come from.

words = vectorizer.get_feature_names_out()
table = np.zeros((model.n_clusters_, len(MODULES)))
np.add.at(table, (model.labels_, modules), 1)
share = table / table.sum(1, keepdims=True)
mean = np.asarray(X.mean(0)).ravel()
names = []
for k in range(model.n_clusters_):
    excess = np.asarray(X[model.labels_ == k].mean(0)).ravel() - mean
    names.append(", ".join(words[np.argsort(-excess)[:5]]))

order = np.argsort(share.argmax(1), kind="stable")
figure, axis = plt.subplots(figsize=(11, 5.8), layout="constrained")
image = axis.imshow(share[order], cmap="Blues", vmin=0, vmax=1, aspect="auto")
axis.set_yticks(range(len(order)), [f"{names[k]}  ({int(table[k].sum())})" for k in order])
axis.set_xticks(range(len(MODULES)), MODULES, rotation=40, ha="right")
axis.set_title("clusters of docstrings by their words (and their size), and their modules")
figure.colorbar(image, label="share of the cluster")
plt.show()
