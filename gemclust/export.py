"""Fitted models without Python: ONNX, and torch modules by their state."""

from __future__ import annotations

from contextlib import suppress
from functools import singledispatchmethod
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gemclust.messages import did_you_mean
from gemclust.modules import ClusterLogits, RadialFeatures
from gemclust.pipelines import clusterer, steps_before

if TYPE_CHECKING:
    from onnx import ModelProto
    from sklearn.pipeline import Pipeline


__all__ = ["ClusterLogits", "to_onnx"]

OPSET = 17
PRECISIONS = (np.dtype(np.float64), np.dtype(np.float32))
INPUT, LABEL, PROBABILITIES = "X", "label", "probabilities"

OF_COLUMNS = (
    "skl2onnx cannot convert the steps before the clusterer with one matrix of numbers as their "
    "input: {}. It does not know all steps: without one that it does not know, give to_onnx "
    "`pipeline[-1]` alone. Where steps take columns by name, or of several types: convert "
    "`pipeline[:-1]` by skl2onnx.to_onnx, with an input for each column, and `pipeline[-1]` by "
    "this function, and join them by onnx.compose.merge_models, as in the user guide, 'Models that "
    "last'."
)


def to_onnx(estimator: Any, path: str | Path | None = None, *, dtype: Any = None) -> ModelProto:
    """The fitted model as an ONNX graph: from X to "label" and "probabilities".

    It computes in double precision, whatever the type of its input. Steps of a pipeline before the
    clusterer are converted by skl2onnx, which has to be installed for them; all of them compute in
    single precision where one does not exist in double precision.

    Parameters
    ----------
    estimator : GeminiClustering, or a Pipeline or search that ends in one
        Fitted. The model is a built-in one, or a user's module made of linear layers and the
        activations of `GeminiClustering`.
    path : str or Path, default=None
        Where to write the file, if anywhere.
    dtype : {float64, float32}, default=None
        Type of the input and of the probabilities; that of the training data by default.

    Returns
    -------
    graph : onnx.ModelProto
        With an input "X" of shape (n_samples, n_features) and outputs "label", int64 of shape
        (n_samples,), and "probabilities" of shape (n_samples, n_clusters).

    Raises
    ------
    ImportError
        If onnx is not installed, or skl2onnx where it is needed: ``pip install onnx skl2onnx``.
    ValueError
        If the model has no such form, the steps before it take no matrix of numbers, or `dtype` is
        another.

    Examples
    --------
    >>> from gemclust import GeminiClustering
    >>> from gemclust.export import to_onnx
    >>> X = [[0.0], [0.2], [5.0], [5.2]]
    >>> model = GeminiClustering(2, model="linear", random_state=0).fit(X)
    >>> [output.name for output in to_onnx(model).graph.output]
    ['label', 'probabilities']
    """
    onnx = _imported("onnx")
    model, steps = clusterer(estimator), steps_before(estimator)
    try:
        module = model.module_
    except AttributeError as error:
        raise ValueError(f"There is no model to export. {error}") from error
    dtype = module.centre.numpy().dtype if dtype is None else _precision(dtype)
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    first = None if steps is None else _converted(steps, kind)
    source = INPUT if first is None else "gemclust_input"
    source_kind = kind if first is None else first.graph.output[0].type.tensor_type.elem_type
    graph = _Graph(onnx)
    proba = graph.add(module, graph("Cast", source, to=onnx.TensorProto.DOUBLE))
    graph("ArgMax", proba, axis=1, keepdims=0, output=LABEL)
    graph("Cast", proba, to=kind, output=PROBABILITIES)
    taken = _value(source, source_kind, model.n_features_in_)
    result = graph.model(taken, _value(PROBABILITIES, kind, model.n_clusters_))
    if first is not None:
        joint = first.graph.output[0].name, source
        first.ir_version = result.ir_version
        result = _imported("onnx.compose").merge_models(first, result, io_map=[joint])
    onnx.checker.check_model(result)
    if path is not None:
        onnx.save(result, str(path))
    return result


class _Graph:
    """An ONNX graph as it grows: a call adds an operator and returns the name of its output."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operator: str, *inputs: Any, output: str = "", **attributes: Any) -> str:
        """Add an operator of values, by their names, and of constant arrays."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = output or f"gemclust_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, names, [output], **attributes))
        return output

    def _constant(self, value: Any) -> str:
        array = np.asarray(value)
        array = array if array.dtype.kind == "i" else array.astype(np.float64)
        name = f"gemclust_constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    @singledispatchmethod
    def add(self, module: nn.Module, x: str) -> str:
        """Add what a torch module makes of x."""
        raise ValueError(
            f"{type(module).__name__} is no layer that to_onnx knows. Use torch.onnx.export on "
            "`module_`, which maps rows of X to the logits of the clusters."
        )

    @add.register
    def _(self, module: ClusterLogits, x: str) -> str:
        """Probabilities, in contrast to what the module returns."""
        centred = self("Sub", x, _array(module.centre))
        logits = self.add(module.inner, self("Div", centred, _array(module.scale)))
        units = [unit for units in module.clusters for unit in units]
        proba = self("Softmax", self("Gather", logits, np.array(units), axis=1), axis=1)
        clusters = _array(module.cluster)[units]
        return self("MatMul", proba, np.eye(len(module.clusters))[clusters])

    @add.register
    def _(self, module: nn.Sequential, x: str) -> str:
        for part in module:
            x = self.add(part, x)
        return x

    @add.register
    def _(self, module: nn.Linear, x: str) -> str:
        product = self("MatMul", x, _array(module.weight).T)
        return product if module.bias is None else self("Add", product, _array(module.bias))

    @add.register
    def _(self, module: RadialFeatures, x: str) -> str:
        landmarks = _array(module.landmarks).astype(np.float64)
        squares = self("MatMul", self("Mul", x, x), np.ones((landmarks.shape[1], 1)))
        products = self("MatMul", x, -2 * landmarks.T)
        distances = self("Add", self("Add", products, squares), np.square(landmarks).sum(1))
        kernel = self("Exp", self("Mul", distances, -module.gamma))
        features = self("MatMul", kernel, _array(module.projection))
        return self("Div", self("Sub", features, _array(module.mean)), module.unit)

    @add.register(nn.ReLU)
    @add.register(nn.Tanh)
    @add.register(nn.Sigmoid)
    def _(self, module: nn.Module, x: str) -> str:
        return self({nn.ReLU: "Relu", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid"}[type(module)], x)

    @add.register(nn.Identity)
    @add.register(nn.Dropout)
    def _(self, module: nn.Module, x: str) -> str:
        return x

    def model(self, source: Any, proba: Any) -> Any:
        """The whole graph, with its input and outputs."""
        helper = self.onnx.helper
        label = helper.make_tensor_value_info(LABEL, self.onnx.TensorProto.INT64, ["n_samples"])
        graph = helper.make_graph(self.nodes, "gemclust", [source], [label, proba], self.constants)
        opset = [helper.make_opsetid("", OPSET)]
        version = helper.find_min_ir_version_for(opset)
        return helper.make_model(
            graph, producer_name="gemclust", opset_imports=opset, ir_version=version
        )


def _precision(dtype: Any) -> np.dtype[Any]:
    """float64 or float32, by whatever name NumPy knows it."""
    with suppress(TypeError, ValueError):
        if np.dtype(dtype) in PRECISIONS:
            return np.dtype(dtype)
    raise ValueError(
        f"{dtype=} is not possible; it must be one of {', '.join(map(str, PRECISIONS))}, or None."
        f"{did_you_mean(dtype, map(str, PRECISIONS))}"
    )


def _array(tensor: Any) -> NDArray[Any]:
    return tensor.detach().cpu().numpy()


def _value(name: str, kind: int, n_columns: int) -> Any:
    """What goes in or comes out: rows of so many columns."""
    shape = ["n_samples", n_columns]
    return _imported("onnx").helper.make_tensor_value_info(name, kind, shape)


def _converted(steps: Pipeline, kind: int) -> Any:
    """The steps before the clusterer, in double precision if all of them exist in it."""
    onnx = _imported("onnx")
    if not hasattr(steps[0], "n_features_in_"):
        raise ValueError(
            f"{type(steps[0]).__name__}, the first step, takes no matrix of numbers (but texts, or "
            "dictionaries), and so cannot be converted: give to_onnx the steps that come after it."
        )
    try:
        graph = _by_skl2onnx(steps, "DoubleTensorType")
        onnx.checker.check_model(graph, full_check=True)
        # Runtimes implement scikit-learn's own operators in single precision only.
        single = any(node.domain == "ai.onnx.ml" for node in graph.graph.node)
    except Exception:  # each converter refuses in its own way
        single = True
    if single:
        try:
            graph = _by_skl2onnx(steps, "FloatTensorType")
        except ImportError:
            raise
        except Exception as error:
            raise ValueError(OF_COLUMNS.format(str(error).strip().rstrip("."))) from error
    inner = graph.graph.input[0]
    cast = {"to": inner.type.tensor_type.elem_type}
    graph.graph.node.insert(0, onnx.helper.make_node("Cast", [INPUT], [inner.name], **cast))
    inner.CopyFrom(_value(INPUT, kind, steps[0].n_features_in_))
    return graph


def _by_skl2onnx(steps: Pipeline, tensor: str) -> Any:
    """The steps as a graph of numbers of this type of skl2onnx."""
    skl2onnx = _imported("skl2onnx")
    kind = getattr(_imported("skl2onnx.common.data_types"), tensor)
    given = [("gemclust_given", kind([None, steps[0].n_features_in_]))]
    return skl2onnx.to_onnx(steps, initial_types=given, target_opset=OPSET)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is not installed, which this export needs: pip install onnx skl2onnx"
        ) from error
