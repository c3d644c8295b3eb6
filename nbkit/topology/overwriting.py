"""In-place operations of a trace: whoever reads later what they overwrite is handed their result instead (torch.fx)."""

from __future__ import annotations

import inspect
import operator

from torch import fx, nn

from nbkit.errors import NbkitError
from nbkit.topology.operations import ASKING, kind_of, plain_name

__all__ = ["InPlace", "Value", "is_asking"]

_ASSIGNING = "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"  # h += 1
_HARMLESS = frozenset({"requires_grad_", "detach_"})  # they overwrite nothing
_SHARING = frozenset(  # of kind "passing", which in eval mode may give what they take, or a view of it
    """identity dropout dropout1d dropout2d dropout3d alphadropout featurealphadropout contiguous detach float double
    half bfloat16 to type typeas""".split()
)


class Value(fx.Proxy):
    """A value of a trace of which h += 1 is traced as what it is, not as h = h + 1."""


def _assigning(name: str) -> None:
    def call(self: Value, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", getattr(operator, name), (self, other), {})

    setattr(Value, f"__{name}__", call)


for _name in _ASSIGNING:
    _assigning(_name)


class InPlace:
    """What lies in the same memory, told node by node in the order of execution.

    Attributes:
        is_rewritten: whether a later reader was handed another node.
    """

    def __init__(self, graph: fx.Graph) -> None:
        self.order = {node: place for place, node in enumerate(graph.nodes)}
        self.shared: dict[fx.Node, set[fx.Node]] = {}
        self.is_rewritten = False

    def follow(self, node: fx.Node, module: nn.Module | None) -> None:
        """Notes a node that gives a tensor; `module` is the one that it calls.

        Raises:
            NbkitError: it overwrites what is read later under another name, through a view.
        """
        target = _overwritten(node, module)
        if target is None:
            given = [each for each in node.all_input_nodes if each in self.shared] if _may_share(node, module) else []
            together = {node}.union(*(self.shared[each] for each in given))
        else:
            together = self.shared.get(target, {target}) | {node}
            if any(self._later(node, each) for each in together - {target, node}):
                raise NbkitError("nothing may be overwritten in place that is read again through another view of it")
            if self._later(node, target):
                self.is_rewritten = True
                target.replace_all_uses_with(node, lambda user: self.order[user] > self.order[node])
        for each in together:
            self.shared[each] = together

    def _later(self, node: fx.Node, read: fx.Node) -> list[fx.Node]:
        return [user for user in read.users if self.order[user] > self.order[node] and not is_asking(user)]


def _overwritten(node: fx.Node, module: nn.Module | None) -> fx.Node | None:
    """The node whose tensor a node writes on."""
    out, first = node.kwargs.get("out"), node.args[0] if node.args else node.kwargs.get("input")
    if isinstance(out, fx.Node):
        return out
    if not isinstance(first, fx.Node):
        return None
    if module is not None:
        return first if getattr(module, "inplace", False) else None
    name = _name_of(node)
    if name.endswith("_") and not name.endswith("__"):
        return None if name in _HARMLESS else first
    return first if name in _ASSIGNING or _has_inplace(node) else None


def _has_inplace(node: fx.Node) -> bool:
    """Whether a function is called with inplace=True, by name or by place."""
    if node.op != "call_function":
        return False
    try:
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    except (TypeError, ValueError):  # what is written in C tells nothing
        return bool(node.kwargs.get("inplace"))
    return bool(given.arguments.get("inplace"))


def _may_share(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether a result may be a view of what a node takes, or that itself."""
    name = type(module).__name__ if module is not None else _name_of(node)
    kind = kind_of(name)
    if kind == "unsupported":
        return module is None
    return kind in ("reshaping", "flattening") or plain_name(name) in _SHARING


def is_asking(node: fx.Node) -> bool:
    """Whether a node asks for a shape or the like, which carries no values."""
    plain = plain_name(_name_of(node))
    return plain in ASKING and (plain != "getattr" or node.args[1] in ("shape", "ndim", "dtype", "device"))


def _name_of(node: fx.Node) -> str:
    return getattr(node.target, "__name__", str(node.target))
