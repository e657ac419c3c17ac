"""What rounding to FP8 changes in one pass, against bf16: `python -m benchmarks.float8_errors --layers 4` (training side, one GPU).

Random weights of a shape with an adapter that does something, the same random tokens both ways. Printed: the relative error (norm of
the difference over the norm) of the last hidden states with 1 to N layers, and of each adapter matrix's gradient by layer.
"""

import argparse
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from benchmarks.train_throughput import MAX_LENGTH, SHAPES, make_model, workload
from training.fit.float8.frozen import freeze_in_float8
from training.fit.fused import choose_kernels, packed_hidden_states
from training.fit.paths import packed
from training.models.decoder import causal_model
from training.models.model import trainable
from training.rows.packing import pack

ROWS = 4


class Pass(NamedTuple):
    """Last hidden states (tokens, size), and the gradients of the loss by parameter, both in float32."""

    hidden: torch.Tensor
    gradients: dict[str, torch.Tensor]


def one_pass(model: Any, device: torch.device) -> Pass:
    """Forward and backward over ROWS rows of the fixed workload."""
    size = causal_model(model).config.vocab_size
    rows = [replace(row, ids=[token % size for token in row.ids]) for row in workload("style", ROWS)]
    kernels = choose_kernels(device)
    with torch.no_grad():
        hidden = packed_hidden_states(model, pack(rows, multiple=128).to(device), kernels).float()
    packed(model, MAX_LENGTH, device, kernels, ROWS * MAX_LENGTH).loss_sum(rows).backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad.float() for name, parameter in trainable(model).items()}
    model.zero_grad()
    return Pass(hidden, gradients)


def error(one: torch.Tensor, exact: torch.Tensor) -> float:
    """Relative, by norms."""
    return float((one - exact).norm() / exact.norm())


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rank", type=int, default=256)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for layers in range(1, options.layers + 1):
        SHAPES[options.shape]["num_hidden_layers"] = layers
        model = make_model(options.shape, options.rank, device, adapters_in_float32=False).train()
        with torch.no_grad():
            for name, parameter in trainable(model).items():
                if "lora_B" in name:
                    parameter.normal_(0, 0.01)
        exact = one_pass(model, device)
        freeze_in_float8(causal_model(model).get_decoder())
        cast = one_pass(model, device)
        print(f"{layers} layers: hidden states {error(cast.hidden, exact.hidden):.4f}", flush=True)
    for name, gradient in exact.gradients.items():
        layer, matrix = name.split("layers.")[1].replace(".default.weight", "").split(".", 1)
        print(f"  of {layers} layers, layer {layer}, {matrix}: gradient {error(cast.gradients[name], gradient):.4f}")
    pairs = [torch.cat([one.flatten() for one in each.values()]) for each in (exact.gradients, cast.gradients)]
    print(f"all gradients: cosine {float(torch.cosine_similarity(*pairs, dim=0)):.4f}")


if __name__ == "__main__":
    main()
