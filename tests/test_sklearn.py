"""scikit-learn's own checks of an estimator, over many parameterisations."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from gemclust import GeminiClustering
from gemclust.objectives import MMD, Wasserstein

# scikit-learn 1.9 reads `classifier_tags` of any estimator with `predict_proba` there; sparse
# input has tests of its own.
EXPECTED = {
    "check_estimator_sparse_array": "reads classifier_tags of a clusterer",
    "check_estimator_sparse_matrix": "reads classifier_tags of a clusterer",
}

ESTIMATORS = [
    GeminiClustering(),
    GeminiClustering(n_clusters=3),
    GeminiClustering(n_clusters=3, model="linear"),
    GeminiClustering(n_clusters=3, objective="mmd_ovo", n_init=3),
    GeminiClustering(n_clusters=3, objective="mi", model="linear", alpha=0.01),
    GeminiClustering(n_clusters=3, objective="tv_ova"),
    GeminiClustering(n_clusters=3, objective="hellinger_ovo"),
    GeminiClustering(n_clusters=3, objective="chi2_ova"),
    GeminiClustering(n_clusters=3, objective="wasserstein_ova", n_init=1),
    GeminiClustering(n_clusters=3, objective=Wasserstein("ovo", metric="manhattan"), n_init=1),
    GeminiClustering(n_clusters=3, objective=MMD(kernel="rbf")),
    GeminiClustering(n_clusters=3, objective=MMD(kernel="rbf", n_components=10)),
    GeminiClustering(n_clusters=3, solver="adam", learning_rate=0.05, max_iter=100),
    GeminiClustering(n_clusters=3, solver="sgd", learning_rate=0.1, max_iter=100),
    GeminiClustering(n_clusters=3, solver="adam", learning_rate=0.05, batch_size=10, max_iter=100),
    GeminiClustering(n_clusters=3, n_units=12),
    GeminiClustering(
        n_clusters="auto", model="mlp", max_clusters=5, hidden_layer_sizes=(8, 8), activation="tanh"
    ),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXPECTED)
def test_scikit_learn_check(estimator, check):
    check(estimator)
