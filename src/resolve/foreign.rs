//! Words of other tools, and what is written here in their place.

/// What a field of another tool is called here.
pub(super) struct Meant {
    /// The field or block that stands for it.
    pub word: &'static str,
    /// What to write.
    pub advice: &'static str,
}

const FIELDS: &[(&[&str], Meant)] = &[
    (
        &["epochs", "num_epochs", "max_epochs", "n_epochs", "nb_epochs", "epoch"],
        Meant { word: "for", advice: "write `for = 100 epochs`" },
    ),
    (
        &["iterations", "steps", "max_steps", "num_steps", "iters"],
        Meant { word: "for", advice: "write `for = 1000 steps`" },
    ),
    (&["batch_size", "batchsize", "bs"], Meant { word: "batch", advice: "write `batch = 128`" }),
    (
        &["lr", "learning_rate", "base_lr", "weight_decay", "wd", "momentum", "betas"],
        Meant { word: "optimizer", advice: "the optimizer takes it: `adamw(lr=1e-3)`" },
    ),
    (&["opt", "optim"], Meant { word: "optimizer", advice: "write `optimizer = adamw(lr=1e-3)`" }),
    (
        &["scheduler", "lr_scheduler", "lr_schedule", "decay"],
        Meant { word: "schedule", advice: "write `schedule = cosine()`" },
    ),
    (
        &["early_stopping", "checkpoint_best", "save_best"],
        Meant { word: "keep", advice: "write `keep = best(val.TERM.accuracy)`" },
    ),
    (
        &["gradient_clip_val", "clip_grad_norm", "grad_clip", "max_grad_norm", "clip_norm"],
        Meant { word: "clip", advice: "write `clip = 1.0`" },
    ),
    (
        &["accumulate_grad_batches", "gradient_accumulation_steps", "grad_accum", "accum_iter"],
        Meant { word: "accumulate", advice: "write `accumulate = 4`: the pieces of one batch" },
    ),
    (
        &["ema_decay", "model_ema", "use_ema", "model_ema_decay"],
        Meant { word: "ema", advice: "write `ema = 0.999`" },
    ),
    (
        &["batch_sampler", "weighted_sampler", "balanced_sampler", "balanced"],
        Meant { word: "sampler", advice: "write `sampler = balanced(by=class)`" },
    ),
    (
        &["seed", "seeds", "random_seed", "random_state", "manual_seed"],
        Meant { word: "seeds", advice: "a sweep has them: `seeds = 0..5`" },
    ),
    (&["dataset", "datasets", "dataloader"], Meant { word: "data", advice: "write `data = …`" }),
    (
        &["model", "backbone", "net", "network", "arch", "architecture"],
        Meant { word: "encoder", advice: "write `encoder = …`" },
    ),
    (
        &["transform", "transforms", "augmentation", "augmentations"],
        Meant { word: "augment", advice: "write `augment { name = … }`" },
    ),
    (
        &["criterion", "objective", "losses", "loss_fn"],
        Meant { word: "loss", advice: "write `loss { name = weight * … }`" },
    ),
    (
        &["metrics", "metric", "evaluation", "evaluate", "probe"],
        Meant { word: "eval", advice: "write `eval { name = linear(labels=fine) }`" },
    ),
    (
        &["trainer", "training", "fit", "hyperparameters", "hparams"],
        Meant { word: "train", advice: "write `train { … }`" },
    ),
    (
        &["gpu", "gpus", "cuda", "accelerator"],
        Meant { word: "device", advice: "write `device = cuda` in `run`" },
    ),
    (
        &["temperature", "tau", "t"],
        Meant { word: "loss", advice: "a term takes it: `supcon(temperature=0.5)`" },
    ),
];

/// What is written here for the field that another tool calls `name`.
pub(super) fn field(name: &str) -> Option<&'static Meant> {
    FIELDS.iter().find(|(names, _)| names.contains(&name)).map(|(_, meant)| meant)
}

const WORDS: &[(&[&str], &str)] = &[
    (&["gpu", "nvidia"], "cuda"),
    (&["fp32", "float32", "float", "single"], "f32"),
    (&["bfloat16"], "bf16"),
    (&["average", "avg", "gap"], "mean"),
    (&["class", "token"], "cls"),
];

/// The one of `words` that another tool calls `name`.
pub(super) fn word(name: &str, words: &[&'static str]) -> Option<&'static str> {
    let known = WORDS.iter().find(|(names, _)| names.contains(&name))?.1;
    words.iter().copied().find(|word| *word == known)
}
