//! A recipe's trainer, from models and rows.
use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::{Models, RunError, RunResult, Sets};
use crate::{
    adapters::Adapter,
    models::zimage::Transformer,
    nn::{Compute, Lora},
    pipelines::{
        bundle::Role,
        noise::{Grid, NoiseDraw},
        questions::EditType,
    },
    training::{
        conditioning::Conditioner,
        error::{TrainingError, TrainingResult},
        instruction_set::{BadRow, Row},
        lanes::Lanes,
        optimiser::AdamWSettings,
        order::{Order, Shares},
        recipe::{LoraChoice, Recipe, StageChoice, Tuning},
        stages::{
            Stage,
            flow_grpo::{self, FlowGrpo},
            flow_matching::{FlowMatching, Target},
            np_edit::{FakeScoreSettings, Frozen, Learners, NpEdit, Rows, Settings},
        },
        trainer::Trainer,
        tuning::{LowRank, Tuned},
    },
};

/// Whether every row has what the stage reads.
pub(super) fn check(recipe: &Recipe, models: &Models, sets: &Sets) -> RunResult<()> {
    let captions = recipe.losses.weights.dmd > 0.0;
    let (stage, what, has): (_, _, fn(&Row) -> bool) = match recipe.stage {
        StageChoice::NpEdit | StageChoice::FlowGrpo if models.judge.is_none() => {
            return Err(RunError::NoJudge);
        }
        StageChoice::FlowGrpo => return Ok(()),
        StageChoice::NpEdit if captions => ("np_edit", "an edited_caption", |row| {
            row.edited_caption.is_some()
        }),
        StageChoice::NpEdit => return Ok(()),
        StageChoice::WarmUp => ("warm_up", "a source_caption", |row| {
            row.source_caption.is_some()
        }),
        StageChoice::TextToImage => ("text_to_image", "a source_caption", |row| {
            row.source_caption.is_some()
        }),
        StageChoice::Supervised => ("supervised", "edited, the picture to learn", |row| {
            row.edited.is_some()
        }),
    };
    let rows = sets.rows.rows.iter().filter(|row| !has(row));
    let rows: Vec<_> = rows
        .map(|row| BadRow {
            line: row.line,
            problem: row.instruction.clone(),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    Err(RunError::Rows { stage, what, rows })
}

/// Stage and optimiser at the first step of `generator`.
///
/// # Errors
/// No judge where the stage asks one, or models that refuse.
pub fn trainer<'a>(
    recipe: &Recipe,
    models: &'a Models,
    sets: &Sets,
    generator: Tuned,
) -> RunResult<Trainer<'a>> {
    let stage = stage(recipe, models, sets, generator)?;
    Ok(Trainer::new(recipe.course(), stage)?)
}

/// The editor that is trained, as it is before the first step.
///
/// # Errors
/// A layer that is to be trained and does not exist, or a device that refuses.
pub fn generator(recipe: &Recipe, models: &Models) -> RunResult<Tuned> {
    tuned(recipe, &recipe.tuning, models, Role::Generator)
}

fn stage<'a>(
    recipe: &Recipe,
    models: &'a Models,
    sets: &Sets,
    generator: Tuned,
) -> RunResult<Box<dyn Stage + 'a>> {
    let conditioner = Conditioner::new(&models.bundle, sets.limits.clone(), recipe.cache_bytes);
    let rows = sets.rows.rows.clone();
    let replayed = sets
        .replay
        .as_ref()
        .map_or_else(Vec::new, |set| set.rows.clone());
    let types: Vec<EditType> = rows.iter().map(|row| row.edit_type).collect();
    let sizes = (rows.len(), replayed.len());
    let order =
        |shares| Order::shuffled(recipe.seed, sizes, shares).mixed(&types, &recipe.data.mix);
    let target = match recipe.stage {
        StageChoice::NpEdit => {
            let judge = models.judge.as_ref().ok_or(RunError::NoJudge)?;
            let frozen = Frozen {
                teacher: &models.teacher,
                judge,
                lpips: models.lpips.as_ref(),
            };
            let learners = Learners {
                generator,
                fake_score: tuned(recipe, &recipe.fake_score.tuning, models, Role::Teacher)?,
            };
            let rows = Rows {
                order: order(recipe.data.shares),
                edits: rows,
                replayed,
            };
            let settings = settings(recipe, models);
            let stage = NpEdit::new(settings, rows, conditioner, frozen, learners)?;
            return Ok(Box::new(stage));
        }
        StageChoice::FlowGrpo => {
            let judge = models.judge.as_ref().ok_or(RunError::NoJudge)?;
            let sigmas = models.bundle.sigmas(recipe.grpo.sampling_steps);
            let sigmas = sigmas.map_err(TrainingError::from)?;
            let order = order(Shares::default());
            let stage = FlowGrpo::new(
                (recipe.batch, recipe.grpo),
                &sigmas,
                flow_grpo::Rows { rows, order },
                (conditioner, judge),
                generator,
            )?;
            return Ok(Box::new(stage));
        }
        StageChoice::WarmUp => Target::Reference,
        StageChoice::Supervised => Target::Edited,
        StageChoice::TextToImage => Target::Picture,
    };
    Ok(Box::new(FlowMatching {
        generator,
        target,
        batch: recipe.batch,
        lanes: Lanes::new(recipe.batch.at_once)?,
        flow: recipe.flow,
        order: order(Shares::default()),
        rows,
        conditioner,
    }))
}

fn settings(recipe: &Recipe, models: &Models) -> Settings {
    Settings {
        batch: recipe.batch.size,
        micro: recipe.batch.micro,
        at_once: recipe.batch.at_once,
        judged: recipe.batch.judged,
        schedule: models.bundle.settings.sigmas.clone(),
        depth: recipe.unroll.depth,
        gradient_through: recipe.unroll.gradient_through,
        weights: recipe.losses.weights,
        guidance: recipe.guidance.clone(),
        normaliser: recipe.losses.normaliser,
        answer_loss: recipe.losses.answer,
        ramp_steps: recipe.losses.ramp_steps,
        identity_question: recipe.losses.identity_question,
        fake_score: FakeScoreSettings {
            updates: if recipe.losses.weights.dmd > 0.0 {
                recipe.fake_score.updates
            } else {
                0
            },
            optimiser: AdamWSettings {
                learning_rate: recipe.fake_score.learning_rate,
                ..recipe.optimiser.adam
            },
            hidden: recipe.optimiser.hidden.clone(),
            clip_norm: recipe.optimiser.clip_norm,
        },
    }
}

fn tuned(recipe: &Recipe, tuning: &Tuning, models: &Models, role: Role) -> RunResult<Tuned> {
    let (base, stream) = match role {
        Role::Generator => (&models.bundle.generator.0, 0),
        Role::Teacher => (&models.teacher, 1),
    };
    match tuning {
        Tuning::Lora(lora) => {
            let mut branches = fresh(base, lora, recipe.seed.wrapping_add(stream))?;
            if let (Role::Generator, Some(adapter)) = (role, &models.adapter) {
                go_on(&mut branches, adapter, (lora, &base.compute().device))?;
            }
            Ok(Tuned::low_rank(base, &branches, recipe.memory)?)
        }
        Tuning::Full => {
            let weights = models.source.masters(role, &models.placement)?;
            let config = models.source.transformer_config()?;
            let compute = models.placement.compute(candle_core::DType::F32);
            Ok(Tuned::full((&config, &compute), weights, recipe.memory)?)
        }
    }
}

/// Branches that change nothing yet: `A` gaussian of spread `1 / r` (PEFT's "gaussian"), `B` zero.
fn fresh(base: &Transformer, lora: &LoraChoice, seed: u64) -> RunResult<LowRank> {
    let shapes = base.linear_shapes();
    let of_target =
        |module: &str, target: &str| module == target || module.ends_with(&format!(".{target}"));
    for target in &lora.targets {
        if !shapes.keys().any(|module| of_target(module, target)) {
            return Err(RunError::Target {
                target: target.clone(),
                examples: shapes.keys().take(4).cloned().collect(),
            });
        }
    }
    let mut pairs = BTreeMap::new();
    let device = &base.compute().device;
    let wanted = shapes
        .iter()
        .filter(|(module, _)| lora.targets.iter().any(|target| of_target(module, target)));
    for (index, (module, [out, input])) in wanted.enumerate() {
        let item = seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(index as u64);
        pairs.insert(
            module.clone(),
            pair(item, lora.rank, [*out, *input], device)?,
        );
    }
    Ok(LowRank {
        pairs,
        scale: lora.alpha / lora.rank as f64,
    })
}

/// The adapter's branches in place of fresh ones, and beside them those of modules that are no target.
fn go_on(
    branches: &mut LowRank,
    adapter: &Adapter,
    (lora, device): (&LoraChoice, &Device),
) -> RunResult<()> {
    let rank = adapter.rank().filter(|rank| *rank == lora.rank);
    rank.ok_or_else(|| RunError::Rank {
        adapter: adapter.id().clone(),
        has: adapter.rank(),
        wanted: lora.rank,
    })?;
    let masters = Compute {
        device: device.clone(),
        dtype: DType::F32,
    };
    for (module, Lora { a, b, scale }) in adapter.branches(&masters)? {
        // as strong as it was, at the recipe's alpha
        let b = (b * (scale / branches.scale))?;
        branches.pairs.insert(module, [a, b]);
    }
    Ok(())
}

fn pair(
    seed: u64,
    rank: usize,
    [out, input]: [usize; 2],
    device: &Device,
) -> TrainingResult<[Tensor; 2]> {
    let grid = Grid {
        channels: 1,
        height: rank,
        width: input,
    };
    let drawn = NoiseDraw::from_seeds(&[seed], 0, grid, device)?.initial;
    let a = (drawn.reshape((rank, input))? / rank as f64)?;
    let b = Tensor::zeros((out, rank), a.dtype(), device)?;
    Ok([a, b])
}
