"""What each field of a grid means, for editors and for the reference."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "name": "Names the folder of the records and, unless `tracking` names another, the "
        "MLflow experiment.",
        "factors": "What is crossed: every norm at every batch size with every seed, and every "
        "level of any further field, is one trial.",
        "factors.norm": "Names of norms, `{name: groupnorm, num_groups: 8}` with options, or "
        "`module:attribute` for a layer of your own.",
        "factors.batch_size": "Images that share statistics.",
        "factors.seed": "How many seeds, or a list of them. A seed draws initial weights, order, "
        "crops and dropout.",
        "factors.further": "Any field of `data`, `model` or `train` by its dotted name, such as "
        "`train.optimizer.lr`, with a list of levels.",
        "data.name": "`digits`, `fashion_mnist`, `cifar10`, `cifar100`, or `module:attribute` of "
        "your own.",
        "data.augment": "`crop_flip` crops from an eighth of padding and mirrors; `crop24_flip` "
        "crops 24x24 pixels and tests on the centre.",
        "data.num_train": "Only so many training images, the same in every trial.",
        "data.num_test": "Only so many test images, the same in every trial.",
        "data.options": "Options of your own data set.",
        "data.digest": "Names the bits of your own data set, which has to have them. With `root` "
        "it is filled in.",
        "data.root": "Folder where the files lie or are put; your own data set gets it as its "
        "argument `root`.",
        "model.name": "A network by name, or `module:attribute` of your own.",
        "model.stem": "First layers of the ImageNet networks: for 32x32 images, or the original.",
        "model.width": "Channels of the first stage.",
        "model.norm_on_logits": "Whether the last layer's output is normalised too.",
        "model.dropout": "Share of the activations dropped, where the network has dropout.",
        "model.initial_weights": "Of your own model: `own` keeps the values with which it is "
        "built, under the seed; `replaced` draws those of its convolutions and linear layers anew, "
        "as the networks by name have them. Unset: `own`.",
        "model.options": "Options of your own model.",
        "train.epochs": "Passes over the training images.",
        "train.optimizer.name": "Stochastic gradient descent is the only one.",
        "train.optimizer.lr": "Learning rate, before `lr_scaling` and the schedule.",
        "train.optimizer.momentum": "Momentum as torch defines it.",
        "train.optimizer.nesterov": "Nesterov's momentum.",
        "train.optimizer.weight_decay": "Added to the gradient, times the weight.",
        "train.optimizer.decay_norm_and_bias": "`false` spares norm parameters and biases the "
        "weight decay.",
        "train.schedule.name": "How the learning rate falls from epoch to epoch.",
        "train.schedule.milestones": "Epochs after which `multistep` multiplies by `gamma`.",
        "train.schedule.gamma": "Factor of `multistep`.",
        "train.lr_scaling": "Multiplies lr by optimizer batch size / `reference_batch_size`, or "
        "by the square root of that.",
        "train.reference_batch_size": "The batch size at which lr holds, for `lr_scaling`.",
        "train.optimizer_batch_size": "Images an optimizer step, a multiple of the batch size: "
        "gradients are accumulated. Unset: the batch size.",
        "train.eval_batch_size": "Images a test batch. Unset: the batch size, where test "
        "statistics come from the test batch.",
        "train.eval_statistics": "Ways of test statistics to record side by side, as "
        "`test_error_precise` and so on, each by the norms that offer it.",
        "train.threshold": "Test error in percent; the time to it is recorded.",
        "train.watch": "Path of a layer whose output's mean and variance are recorded.",
        "train.extra_metrics": "Further metrics of each epoch.",
        "train.deterministic": "The same bits every time on a GPU too, by slower algorithms. A "
        "CPU gives them anyway.",
        "train.precision": "Of forward passes: `bfloat16` is torch's autocast; weights, statistics "
        "and loss stay float32.",
        "train.channels_last": "Whether images and weights lie in memory pixel by pixel: the same "
        "mathematics, another rounding.",
        "overrides": "Fields set in some trials only; later ones win.",
        "overrides.when": "Levels of the factors that a trial must have: a level, or a list. "
        "A norm is named as `plan` shows it, or as it stands under `factors.norm`.",
        "overrides.set": "Fields by their dotted names; options of the norm as `norm.momentum`.",
        "exclude": "Combinations of levels that are left out.",
        "resources.cpu": "Cores a trial; as many threads.",
        "resources.gpu": "Share of a GPU a trial. `auto`: as many trials share one as train "
        "fastest together; without a GPU, none.",
        "resources.seeds_per_trainable": "Seeds of a cell trained side by side as one network. "
        "`auto`: as many as turns out to be fastest.",
        "resources.compile": "Whether the steps are compiled by `torch.compile`. `auto`: where "
        "the steps that are left repay the compilation.",
        "resources.cuda_graphs": "Whether steps not compiled are replayed from a CUDA graph. "
        "`auto`: where that works.",
        "tracking.experiment": "Name of the MLflow experiment.",
        "tracking.log_models": "Whether a completed trial's last checkpoint, its weights among it, "
        "goes to MLflow too.",
        "storage": "Folder, or `s3://bucket/folder`, of the records and checkpoints.",
        "checkpoint_every_s": "Seconds between two checkpoints within an epoch.",
        "reference": "The norm that the others are compared with.",
        "infeasible": "What becomes of cells that cannot be trained.",
    }
)
