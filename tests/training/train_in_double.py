"""``crmnet`` with double precision: what two runs then differ in is not rounding.

In float32 a rounding may decide the sign of Adam's first step of a weight, and a few steps later
two equal computations are far apart.
"""

import torch

import crmnet.training.module
from crmnet.cli import run

torch.set_default_dtype(torch.float64)
torch.Tensor.float = torch.Tensor.double
crmnet.training.module.LIGHTNING_PRECISION["fp32"] = "64-true"
run()
