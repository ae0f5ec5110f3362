"""
Tables with categories and missing values
=========================================

Tables hold numbers of different units, categories and gaps. A ``ColumnTransformer`` makes them
comparable, and clusters come back as a DataFrame with the table's own index.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gemclust import GeminiClustering

table = load_penguins().drop(columns=["species", "year"])
table.head(5)

# %%
# How many values are missing in each column:

table.isna().sum().to_frame("missing")

# %%
# Numbers are standardised, categories become columns of 0 and 1. Left so, a category weighs as
# much as one or two standard deviations of a number, and each combination of categories is a
# cluster of its own. How much they are to weigh is a choice, made by ``transformer_weights``.

numbers = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
categories = ["island", "sex"]
of_numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
of_categories = make_pipeline(
    SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False)
)
preparation = ColumnTransformer(
    [("numbers", of_numbers, numbers), ("categories", of_categories, categories)],
    transformer_weights={"categories": 0.5},
)
model = make_pipeline(preparation, GeminiClustering(random_state=0)).set_output(transform="pandas")
model

# %%
# The number of clusters is found. Each row of the result sums to 1.

proba = model.fit_transform(table)
proba.round(2).head()

# %%
# What are they? Means of the numbers, and the commonest category. The species were not shown to the
# model.

clusters = pd.Series(model.predict(table), index=table.index, name="cluster")
commonest = dict.fromkeys(categories, lambda column: column.mode()[0])
profile = table.groupby(clusters).agg(dict.fromkeys(numbers, "mean") | commonest)
profile.insert(0, "size", clusters.value_counts())
profile.round(1)

# %%
pd.crosstab(clusters, load_penguins()["species"])

# %%
# The same as a picture: how far the mean of each cluster lies from that of all birds, in standard
# deviations.

standardised = (table[numbers] - table[numbers].mean()) / table[numbers].std()
difference = standardised.groupby(clusters).mean()
shares = pd.get_dummies(table[categories]).groupby(clusters).mean()
figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 0.6 * len(profile) + 2.2), sharey=True, layout="constrained"
)
for axis, frame, scale, label in (
    (left, difference, {"cmap": "RdBu_r", "vmin": -2, "vmax": 2}, "standard deviations"),
    (right, shares, {"cmap": "Greens", "vmin": 0, "vmax": 1}, "share"),
):
    image = axis.imshow(frame, aspect="auto", **scale)
    for (row, column), value in np.ndenumerate(frame.to_numpy()):
        axis.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize="small")
    names = [name.replace("_", " ") for name in frame.columns]
    axis.set_xticks(range(len(names)), names, rotation=35, ha="right")
    figure.colorbar(image, label=label)
left.set_yticks(range(len(profile)), [f"{k} ({n})" for k, n in profile["size"].items()])
left.set_ylabel("cluster (size)")
plt.show()
