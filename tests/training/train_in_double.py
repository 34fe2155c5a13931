"""``crmnet`` in double precision, so that rounding cannot explain a difference between two runs.

In float32, rounding can change the sign of Adam's first step of a weight, and a few steps later two
equivalent computations differ clearly.
"""

import torch

import crmnet.training.module
from crmnet.cli import run

torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
crmnet.training.module.LIGHTNING_PRECISION["fp32"] = "64-true"
run()
