//! What the training thread does.
use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use super::{Broke, ModelSource, watch::Watch};
use crate::{
    adapters::{self, Adapter},
    engine::EngineError,
    jobs::{
        FailureCode, JobSettings,
        promotion::{self, Comparison, compare},
    },
    pipelines::edit::EditPipeline,
    training::{
        checkpoint::CheckpointError,
        error::TrainingError,
        instruction_set::{BadPictures, InstructionSet},
        recipe::Recipe,
        run::{self, Ended, Models, RunDirectory, RunError, Sets, Written},
    },
};

/// Everything that training needs.
pub(super) struct Bench {
    pub models: Arc<dyn ModelSource>,
    pub settings: Arc<JobSettings>,
    pub recipe: PathBuf,
    pub rows: PathBuf,
    pub replay: Option<PathBuf>,
    pub held_out: PathBuf,
    pub directory: RunDirectory,
}

/// What came out.
pub(super) struct Trained {
    pub adapter: Adapter,
    /// The page about the run.
    pub report: Vec<u8>,
    pub comparison: Comparison,
}

pub(super) fn train(bench: &Bench, mut watch: Watch) -> Result<Trained, Broke> {
    // 1 load        recipe, models, rows
    let loaded = Recipe::read(&bench.recipe).map_err(failed)?;
    let models = bench.models.load(&loaded.recipe).map_err(failed)?;
    let limits = bench.settings.set_limits.images.clone();
    let read = |rows| InstructionSet::read(rows, &limits, BadPictures::Refuse).map_err(failed);
    let sets = Sets {
        rows: read(&bench.rows)?,
        replay: bench.replay.as_deref().map(read).transpose()?,
        limits: limits.clone(),
    };
    // 2 run         from the newest checkpoint
    let ended = run::run(&loaded, (&models, &sets), &bench.directory, &mut watch);
    watch.turn = None;
    if let Some(error) = watch.failure.take() {
        return Err(Broke::Storage(error));
    }
    let (written, report) = match ended {
        Ok(Ended::Finished { written, report }) => (written, report),
        Ok(Ended::Stopped { .. }) => return Err(Broke::Asked),
        Err(RunError::Training(TrainingError::Interrupted)) => return Err(Broke::Asked),
        Err(error) => return Err(broke(error)),
    };
    let Written::Adapter { diffusers, .. } = written else {
        return Err(failed(
            "the recipe trains whole weights; set tuning.kind to \"lora\"",
        ));
    };
    let adapter = adapters::read(&diffusers).map_err(failed)?.adapter;
    let report = std::fs::read(report).map_err(failed)?;
    // 3 compare     held-out rows and the regression set, with and without
    let comparison = judge(bench, models, &adapter, &mut watch)?;
    Ok(Trained {
        adapter,
        report,
        comparison,
    })
}

fn judge(
    bench: &Bench,
    models: Models,
    adapter: &Adapter,
    watch: &mut Watch,
) -> Result<Comparison, Broke> {
    let settings = &bench.settings;
    let limits = &settings.set_limits.images;
    let Models {
        bundle,
        judge: Some(judge),
        ..
    } = models
    else {
        return Ok(Comparison::default());
    };
    let held_out = promotion::held_out(&bench.held_out, limits, settings.max_held_out);
    let held_out = held_out.map_err(failed)?;
    let regression = promotion::regression(settings.regression_edits, limits).map_err(failed)?;
    let adapt = |editor: EditPipeline| {
        let bundle = editor.bundle;
        let branches = adapter.branches(bundle.generator.0.compute());
        let adapted = bundle.with_branches(adapter.id().as_str(), branches.map_err(failed)?);
        Ok(EditPipeline {
            bundle: adapted.map_err(failed)?,
        })
    };
    let cases = (&held_out[..], &regression[..]);
    let compared = compare(
        (EditPipeline { bundle }, &judge),
        cases,
        adapt,
        &mut || match watch.signals.ends_run() {
            true => ControlFlow::Break(()),
            false => watch.next_turn(),
        },
    );
    watch.turn = None;
    compared
}

impl From<EngineError> for Broke {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::ClientLeft => Self::Asked,
            error => failed(error),
        }
    }
}

fn failed(error: impl ToString) -> Broke {
    Broke::Failed {
        code: FailureCode::Training,
        message: error.to_string(),
    }
}

/// A disk that is full may have room again later; the last checkpoint is intact.
fn broke(error: RunError) -> Broke {
    match error {
        RunError::Write { path, source }
        | RunError::Checkpoint(CheckpointError::Write { path, source }) => {
            Broke::Storage(crate::storage::StorageError::Directory { path, source }.into())
        }
        error => failed(error),
    }
}
