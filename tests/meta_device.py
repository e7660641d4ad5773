"Device mistakes, found without a GPU: what should stay on the device must not meet what was left on the CPU."

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

COPIES = {"aten::_to_copy", "aten::copy_", "aten::_local_scalar_dense"}
INDEXED = {
    "aten::index",
    "aten::index_put_",
    "aten::index_put",
    "aten::_index_put_impl_",
    "aten::index_select",
    "aten::index.Tensor",
}


class OneDevice(TorchDispatchMode):
    "Raises where one operation gets a meta tensor and a CPU tensor of one or more dimensions; copies and index tensors may."

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
        name = func._schema.name
        if name in INDEXED:
            tensors = [t for t in tensors if t.is_floating_point()]
        mixed = {t.device.type for t in tensors if t.ndim or t.device.type == "meta"}
        if len(mixed) > 1 and name not in COPIES:
            shapes = [(tuple(t.shape), t.device.type) for t in tensors]
            raise AssertionError(f"{name} mixes devices: {shapes}")
        return func(*args, **(kwargs or {}))
