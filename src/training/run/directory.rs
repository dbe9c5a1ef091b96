//! Where a run writes: `run.json`, `metrics.jsonl`, `checkpoints/`, `samples/`, and at last `adapter/` or `transformer/`.
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{Models, RunError, RunResult, Sets};
use crate::{
    adapters::{Adapter, AdapterId},
    models::{
        files::{Files, file_sha256, hex_sha256},
        folder::Folder,
        lpips::Lpips,
    },
    training::{
        checkpoint::CheckpointDirectory,
        recipe::{ComponentRecipe, Data, LabelledChoice, ModelChoice, Recipe},
        trainer::StepReport,
    },
};

/// A run's directory.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

/// What makes two runs the same: hashes by what they are of.
pub(super) struct Identity(BTreeMap<&'static str, String>);

impl Identity {
    pub(super) fn of_component(recipe: &ComponentRecipe, files: &Files) -> RunResult<Self> {
        let labelled = recipe.labelled.as_ref();
        let steps_alone = ComponentRecipe {
            checkpoint_every: 0,
            labelled: labelled.map(|choice| LabelledChoice {
                list: PathBuf::new(),
                ..choice.clone()
            }),
            ..recipe.clone()
        };
        let [folder, _] = recipe.component.place();
        let mut hashes = BTreeMap::from([
            ("recipe", hex_sha256(format!("{steps_alone:?}").as_bytes())),
            ("base", Folder::below(files.clone(), folder).sha256()?),
        ]);
        if let Some(choice) = labelled {
            hashes.insert("labelled", file_sha256(&choice.list)?);
        }
        Ok(Self(hashes))
    }

    pub(super) fn of(recipe: &Recipe, models: &Models, sets: &Sets) -> Self {
        // where files lie and how often something is written changes no step
        let steps_alone = Recipe {
            data: Data {
                rows: PathBuf::new(),
                replay: None,
                ..recipe.data.clone()
            },
            model: ModelChoice {
                lpips: None,
                adapter: None,
                ..recipe.model.clone()
            },
            checkpoint_every: 0,
            samples: crate::training::recipe::Samples {
                every: None,
                rows: 0,
            },
            cache_bytes: 0,
            ..recipe.clone()
        };
        let judge = models
            .judge
            .as_ref()
            .map(|judge| judge.identity().sha256.clone());
        let lpips = models.lpips.as_ref();
        let adapter = models.adapter.as_ref().map(Adapter::id);
        let replay = sets.replay.as_ref().map(|set| set.sha256.clone());
        Self(BTreeMap::from([
            ("recipe", hex_sha256(format!("{steps_alone:?}").as_bytes())),
            ("rows", sets.rows.sha256.clone()),
            ("replay", replay.unwrap_or_default()),
            ("base", models.bundle.identity.sha256.clone()),
            ("judge", judge.unwrap_or_default()),
            ("lpips", lpips.map_or("", Lpips::sha256).to_owned()),
            ("adapter", adapter.map_or("", AdapterId::as_str).to_owned()),
        ]))
    }
}

const IDENTITY: &str = "run.json";
const LOCK: &str = "run.lock";
const METRICS: &str = "metrics.jsonl";
const SAMPLES: &str = "samples";
const REPORT: &str = "report.html";

impl RunDirectory {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    pub fn checkpoints(&self) -> CheckpointDirectory {
        CheckpointDirectory::new(self.path.join("checkpoints"))
    }

    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// `samples/step-000050.png`
    pub fn sample(&self, step: u64) -> PathBuf {
        self.path.join(SAMPLES).join(format!("step-{step:06}.png"))
    }

    /// Every grid that was drawn, with its step, in no order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn samples(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.path.join(SAMPLES))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let step = name.and_then(|name| name.strip_prefix("step-")?.strip_suffix(".png"));
            if let Some(step) = step.and_then(|step| step.parse().ok()) {
                found.push((step, path));
            }
        }
        Ok(found)
    }

    /// Hashes by what they are of, as the run was begun with them.
    ///
    /// # Errors
    /// The file cannot be read, or is no such map.
    pub fn identity(&self) -> io::Result<BTreeMap<String, String>> {
        Ok(serde_json::from_slice(&fs::read(
            self.path.join(IDENTITY),
        )?)?)
    }

    /// Keeps every other process out, as long as the answer lives.
    ///
    /// # Errors
    /// Another process runs here, or the directory cannot be written.
    pub(super) fn lock(&self) -> RunResult<File> {
        let path = self.path.join(LOCK);
        let failed = |source| RunError::Write {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.path).map_err(failed)?;
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(RunError::Busy {
                path: self.path.clone(),
            }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Makes the directory this run's.
    ///
    /// # Errors
    /// It is another's, or cannot be written.
    pub(super) fn claim(&self, identity: &Identity) -> RunResult<()> {
        let path = self.path.join(IDENTITY);
        let found = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.begin(identity),
            Err(source) => return Err(RunError::Write { path, source }),
        };
        // a file cut off by a crash was never followed by a step
        let Ok(found) = serde_json::from_slice::<BTreeMap<String, String>>(&found) else {
            return self.begin(identity);
        };
        let differs = identity
            .0
            .iter()
            .find(|(what, hash)| found.get(**what) != Some(hash));
        match differs {
            None => Ok(()),
            Some((what, _)) => Err(RunError::Another {
                path: self.path.clone(),
                what: (*what).to_owned(),
            }),
        }
    }

    fn begin(&self, identity: &Identity) -> RunResult<()> {
        let path = self.path.join(IDENTITY);
        let text = serde_json::to_string_pretty(&identity.0).unwrap_or_default();
        let written = fs::create_dir_all(&self.path).and_then(|()| fs::write(&path, text));
        written.map_err(|source| RunError::Write { path, source })
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn append(&self, report: &StepReport) -> RunResult<()> {
        let path = self.metrics();
        let line = serde_json::to_string(report).unwrap_or_default();
        let appended = OpenOptions::new().create(true).append(true).open(&path);
        let appended = appended.and_then(|mut file| writeln!(file, "{line}"));
        appended.map_err(|source| RunError::Write { path, source })
    }

    /// Drops the lines of steps after `step`, which are about to be taken again.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn truncate(&self, step: u64) -> RunResult<()> {
        let path = self.metrics();
        let failed = |source| RunError::Write {
            path: path.clone(),
            source,
        };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(failed)?,
        };
        let of_line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            line["step"].as_u64()
        };
        let kept = text
            .lines()
            .filter(|line| of_line(line).is_some_and(|of| of <= step));
        let kept: String = kept.map(|line| format!("{line}\n")).collect();
        let part = path.with_extension("part");
        let written = File::create(&part).and_then(|mut file| file.write_all(kept.as_bytes()));
        written
            .and_then(|()| fs::rename(&part, &path))
            .map_err(failed)
    }
}
