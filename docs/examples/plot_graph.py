"""
A graph: who appears with whom in Les Misérables
================================================

Of a graph, only a similarity of its nodes is known: no features. The model "categorical" has free
logits for each node, and the kernel comes precomputed.
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from scipy.linalg import expm
from scipy.sparse.csgraph import laplacian

from gemclust import GeminiClustering
from gemclust.objectives import MMD

graph = nx.les_miserables_graph()
names = list(graph)
adjacency = nx.to_numpy_array(graph)
print(f"{len(names)} characters, {graph.number_of_edges()} pairs that share chapters")

# %%
# The heat kernel of a graph: where heat is after some time, if it starts at one node. With the
# normed Laplacian, a much connected character weighs no more than others.

kernel = expm(-3.0 * laplacian(adjacency, normed=True))
model = GeminiClustering(
    6,
    model="categorical",
    objective=MMD("ovo", kernel="precomputed"),
    n_init=20,
    random_state=0,
)
model.fit(np.arange(len(names))[:, None], affinity=kernel)
for k in range(model.n_clusters_):
    members = np.flatnonzero(model.labels_ == k)
    members = members[np.argsort(-adjacency[members].sum(1))]
    print(f"{k}: {', '.join(names[i] for i in members[:6])} ... ({len(members)})")

# %%
# Nodes are coloured by cluster, faint where p(y|x) is not certain, and as large as they are
# connected.

places = nx.spring_layout(graph, seed=4, iterations=200, k=0.25)
xy = np.array([places[name] for name in names])
degree = adjacency.sum(1)
colors = plt.get_cmap("tab10")(model.labels_)
colors[:, 3] = 0.25 + 0.75 * model.probabilities_.max(1)

figure, axis = plt.subplots(figsize=(10, 7.5), layout="constrained")
for a, b, values in graph.edges(data=True):
    axis.plot(*np.array([places[a], places[b]]).T, color="0.8", lw=0.3 * values["weight"] ** 0.5)
axis.scatter(*xy.T, s=20 + 8 * degree, c=colors, edgecolors="white", zorder=2)
labelled = []
for i in np.argsort(-degree)[:25]:
    if labelled and np.abs((xy[labelled] - xy[i]) / (0.16, 0.045)).max(1).min() < 1:
        continue  # it would be written over another name
    labelled.append(i)
    axis.annotate(names[i], xy[i], (5, 5), textcoords="offset points", fontsize=8)
axis.axis("off")
plt.show()
