//! Merged keys to a recipe; every mistake is kept.
use std::{collections::BTreeMap, path::Path};

use super::{
    Batch, Data, FakeScore, Flow, Grpo, LoraChoice, Losses, ModelChoice, OptimiserChoice, Recipe,
    Samples, StageChoice, Tuning, TuningChoice, UnrollChoice,
};
use crate::{
    config::{Issue, Layers, Reader},
    pipelines::{questions::EditType, sigmas::STEPS},
    training::{
        guard::Guard,
        learning_rate::LearningRate,
        optimiser::{AdamWSettings, Hidden, MuonSettings},
        order::Shares,
        stages::np_edit::{Guidance, Weights},
        tuning::Memory,
    },
};

/// Largest of anything that has no natural limit.
pub(super) const MOST: i64 = 1 << 40;
pub(super) const MOST_WEIGHT: f64 = 1e6;
/// As many as an edit can have.
const MOST_SAMPLING_STEPS: i64 = *STEPS.end() as i64;

pub(super) fn compile(
    layers: &Layers,
    issues: Vec<Issue>,
    folder: &Path,
) -> Result<Recipe, Vec<Issue>> {
    let mut read = Reader::new(layers, issues);
    let optimiser = optimiser(&mut read);
    let recipe = Recipe {
        stage: read.choice("stage"),
        steps: read.integer("steps", 1..=MOST),
        seed: read.integer("seed", 0..=i64::MAX),
        model: ModelChoice {
            reference: model(&read, "model.reference", folder),
            generator: model(&read, "model.generator", folder),
            judge: model(&read, "model.judge", folder),
            adapter: read
                .optional_text("model.adapter")
                .map(|path| folder.join(path)),
            lpips: read
                .optional_text("losses.lpips_weights")
                .map(|path| folder.join(path)),
        },
        data: data(&mut read, folder),
        batch: Batch {
            size: read.integer("batch.size", 1..=4096),
            micro: read.integer("batch.micro", 1..=4096),
            at_once: read.integer("batch.at_once", 1..=64),
            judged: read.integer("batch.judged", 1..=4096),
        },
        tuning: tuning(&mut read, "tuning"),
        memory: match read.boolean("memory.recompute") {
            true => Memory::Recompute,
            false => Memory::Keep,
        },
        cache_bytes: read.integer::<usize>("memory.cache_mb", 0..=1 << 20) << 20,
        optimiser,
        unroll: UnrollChoice {
            depth: read.integer("unroll.depth", 1..=8),
            gradient_through: read.choice("unroll.gradient_through"),
        },
        losses: losses(&mut read),
        guidance: Guidance {
            scale: read.number("teacher.guidance_scale", 0.0..=100.0),
            strong_scale: read.number("teacher.strong_guidance_scale", 0.0..=100.0),
            negative_caption: read.text("teacher.negative_caption").to_owned(),
        },
        fake_score: FakeScore {
            updates: read.integer("fake_score.updates", 0..=1000),
            learning_rate: read.number("fake_score.learning_rate", 0.0..=1.0),
            tuning: tuning(&mut read, "fake_score"),
        },
        flow: Flow {
            shift: read.number("flow.shift", 1e-3..=1e3),
            text_dropout: read.number("flow.text_dropout", 0.0..=1.0),
            logit_normal_weight: read.boolean("flow.logit_normal_weight"),
        },
        grpo: Grpo {
            group: read.integer("grpo.group", 2..=1024),
            sampling_steps: read.integer("grpo.sampling_steps", 2..=MOST_SAMPLING_STEPS),
            noise_level: read.number("grpo.noise_level", 1e-3..=10.0),
            reward: read.choice("grpo.reward"),
            updates: read.integer("grpo.updates", 1..=64),
            clip_range: read.number("grpo.clip_range", 1e-12..=1.0),
            kl: read.number("grpo.kl", 0.0..=MOST_WEIGHT),
        },
        checkpoint_every: read.integer("checkpoint.every", 1..=MOST),
        samples: Samples {
            every: Some(read.integer("samples.every", 0..=MOST)).filter(|every| *every > 0),
            rows: read.integer("samples.rows", 1..=64),
        },
    };
    cross_checks(&mut read, &recipe);
    read.finish(recipe)
}

/// A reference to a model; local ones start at `folder`.
fn model(read: &Reader, key: &str, folder: &Path) -> Option<String> {
    let text = read.optional_text(key)?;
    if text.starts_with("hf:") {
        return Some(text);
    }
    Some(folder.join(text).to_string_lossy().into_owned())
}

fn cross_checks(read: &mut Reader, recipe: &Recipe) {
    let Losses { weights, .. } = recipe.losses;
    if recipe.stage == StageChoice::NpEdit && weights.judge == 0.0 && weights.dmd == 0.0 {
        read.issue(
            "losses.judge",
            "must be above 0, or losses.dmd: with neither there is nothing to learn",
        );
    }
    if weights.lpips > 0.0 && recipe.model.lpips.is_none() {
        read.issue(
            "losses.lpips",
            "needs losses.lpips_weights, a file that the README says how to make",
        );
    }
    if recipe.model.adapter.is_some() && recipe.tuning == Tuning::Full {
        read.issue(
            "model.adapter",
            "needs tuning.kind = \"lora\": whole weights have no branches to go on from",
        );
    }
    if recipe.data.replay.is_none() && recipe.data.shares.replay > 0.0 {
        read.issue(
            "data.replay_share",
            "needs data.replay, the rows that are replayed",
        );
    }
    if recipe.stage != StageChoice::NpEdit && recipe.data.replay.is_some() {
        read.issue(
            "data.replay",
            "is of use to the stage np_edit alone; leave it out",
        );
    }
}

fn data(read: &mut Reader, folder: &Path) -> Data {
    let mut mix = BTreeMap::new();
    for edit_type in EditType::ALL {
        let share = read.number(&format!("mix.{edit_type}"), 0.0..=MOST_WEIGHT);
        if share > 0.0 {
            mix.insert(edit_type, share);
        }
    }
    Data {
        rows: folder.join(read.required_text("data.rows")),
        replay: read
            .optional_text("data.replay")
            .map(|path| folder.join(path)),
        shares: Shares {
            do_nothing: read.number("data.do_nothing_share", 0.0..=1.0),
            replay: read.number("data.replay_share", 0.0..=1.0),
        },
        mix,
    }
}

fn tuning(read: &mut Reader, section: &str) -> Tuning {
    let key = |name: &str| format!("{section}.{name}");
    let lora = LoraChoice {
        rank: read.integer(&key("rank"), 1..=4096),
        alpha: read.number(&key("alpha"), 1e-6..=MOST_WEIGHT),
        targets: names(read.text(&key("targets"))),
    };
    match read.choice(&key("kind")) {
        TuningChoice::Full => Tuning::Full,
        TuningChoice::Lora => {
            if lora.targets.is_empty() {
                read.issue(
                    &key("targets"),
                    "must name at least one layer, such as \"to_q, to_v\"",
                );
            }
            Tuning::Lora(lora)
        }
    }
}

fn names(list: &str) -> Vec<String> {
    let names = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

pub(super) fn optimiser(read: &mut Reader) -> OptimiserChoice {
    let peak = read.number("optimiser.learning_rate", 0.0..=1.0);
    let ema_decay = read.number("optimiser.ema_decay", 0.0..=0.999_999);
    OptimiserChoice {
        adam: AdamWSettings {
            learning_rate: peak,
            betas: ["optimiser.beta1", "optimiser.beta2"]
                .map(|key| read.number(key, 0.0..=0.999_999)),
            eps: read.number("optimiser.eps", 1e-15..=1.0),
            weight_decay: read.number("optimiser.weight_decay", 0.0..=1.0),
        },
        hidden: Hidden {
            modules: names(read.text("optimiser.muon_modules")),
            settings: MuonSettings {
                learning_rate: read.number("optimiser.muon_learning_rate", 0.0..=1.0),
                momentum: read.number("optimiser.muon_momentum", 0.0..=0.999_999),
            },
        },
        learning_rate: LearningRate {
            peak,
            last: read.number("optimiser.last_learning_rate", 0.0..=1.0),
            warm_up_steps: read.integer("optimiser.warm_up_steps", 0..=MOST),
            decay: read.choice("optimiser.decay"),
        },
        clip_norm: read.number("optimiser.clip_norm", 1e-6..=MOST_WEIGHT),
        guard: Guard {
            spike_norm: read.number("optimiser.spike_norm", 1e-6..=1e12),
            give_up_after: read.integer("optimiser.give_up_after", 1..=1_000_000),
        },
        ema_decay: (ema_decay > 0.0).then_some(ema_decay),
    }
}

fn losses(read: &mut Reader) -> Losses {
    let mut weight = |name: &str| read.number(&format!("losses.{name}"), 0.0..=MOST_WEIGHT);
    let weights = Weights {
        judge: weight("judge"),
        dmd: weight("dmd"),
        do_nothing: weight("do_nothing"),
        anchor: weight("anchor"),
        pixel: weight("pixel"),
        lpips: weight("lpips"),
    };
    Losses {
        weights,
        answer: read.choice("losses.answer"),
        ramp_steps: read.integer("losses.ramp_steps", 0..=MOST),
        identity_question: read.boolean("losses.identity_question"),
        normaliser: read.choice("losses.normaliser"),
    }
}
