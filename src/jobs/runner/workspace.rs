//! The folder of one attempt: rows, recipe, and what earlier attempts came to.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    adapters::Target,
    jobs::{Claim, JobResult, Jobs, Viewer, recipes, submit::held_out},
    storage::StorageError,
    training::run::RunDirectory,
};

/// Goes away with the attempt.
pub(super) struct Workspace {
    path: PathBuf,
}

const HELD_OUT: &str = "held-out.jsonl";
const RUN: &str = "run";

impl Workspace {
    /// Lays out the job's sets, its recipe, the adapter that it goes on from, and its newest checkpoint.
    pub async fn prepare(jobs: &Jobs, claim: &Claim) -> JobResult<Self> {
        let job = &claim.job;
        let path = jobs.storage.work(&format!("{}-{}", job.id, claim.epoch));
        let workspace = Self { path };
        let unwritable = |source| StorageError::Directory {
            path: workspace.path.clone(),
            source,
        };
        fs::create_dir_all(&workspace.path).map_err(unwritable)?;
        let rows = jobs
            .datasets
            .lay_out(&job.plan.dataset, &workspace.path)
            .await?;
        if let Some(replay) = &job.plan.replay {
            let folder = workspace.path.join(recipes::REPLAY);
            jobs.datasets.lay_out(replay, &folder).await?;
        }
        workspace
            .split(&rows, job.plan.holdout)
            .map_err(unwritable)?;
        fs::write(workspace.recipe(), &job.plan.recipe_toml).map_err(unwritable)?;
        if let Some(start) = &job.plan.base_adapter {
            let viewer = Viewer::admin(&job.plan.owner);
            let file = jobs.registry.download(&viewer, start, Target::Diffusers);
            let path = workspace.path.join(recipes::START);
            fs::write(path, file.await?.bytes).map_err(unwritable)?;
        }
        workspace.restore(jobs, claim).await?;
        Ok(workspace)
    }

    pub fn recipe(&self) -> PathBuf {
        self.path.join(recipes::FILE)
    }

    /// Rows that are trained on.
    pub fn rows(&self) -> PathBuf {
        self.path.join(recipes::ROWS)
    }

    /// Rows that are replayed, where the job has some.
    pub fn replay(&self) -> Option<PathBuf> {
        let rows = self.path.join(recipes::REPLAY).join(recipes::ROWS);
        rows.exists().then_some(rows)
    }

    /// Rows that are never trained on.
    pub fn held_out(&self) -> PathBuf {
        self.path.join(HELD_OUT)
    }

    pub fn run(&self) -> RunDirectory {
        RunDirectory::new(self.path.join(RUN))
    }

    /// Keeps rows back: those whose hash is smallest, so that the order of the file does not matter.
    fn split(&self, rows: &Path, share: f64) -> io::Result<()> {
        let text = fs::read_to_string(rows)?;
        let mut lines: Vec<(Vec<u8>, &str)> = text
            .lines()
            .map(|line| (Sha256::digest(line).to_vec(), line))
            .collect();
        let held = held_out(lines.len() as u64, share) as usize;
        let mut hashes: Vec<Vec<u8>> = lines.iter().map(|(hash, _)| hash.clone()).collect();
        hashes.sort();
        hashes.truncate(held);
        let write = |path: PathBuf, kept: Vec<(Vec<u8>, &str)>| {
            let kept = kept.iter().map(|(_, line)| format!("{line}\n"));
            fs::write(path, kept.collect::<String>())
        };
        let kept_back: Vec<_> = lines
            .extract_if(.., |(hash, _)| hashes.contains(hash))
            .collect();
        write(self.held_out(), kept_back)?;
        write(self.rows(), lines)
    }

    /// Checkpoint, metrics and pictures of the attempts before.
    async fn restore(&self, jobs: &Jobs, claim: &Claim) -> JobResult<()> {
        let job = &claim.job;
        let run = self.run();
        let place = async |key: String, path: PathBuf| {
            let Some(bytes) = jobs.storage.objects.get(&key).await? else {
                return Ok(());
            };
            let written = path.parent().map_or(Ok(()), fs::create_dir_all);
            let written = written.and_then(|()| fs::write(&path, bytes));
            written.map_err(|source| StorageError::Directory { path, source })
        };
        let checkpoints = format!("{}/checkpoints", job.folder());
        let newest = format!("step-{:06}.safetensors", job.checkpoint_step);
        for name in jobs.storage.objects.list(&checkpoints).await? {
            let key = format!("{checkpoints}/{name}");
            match name == newest {
                true => place(key, run.path().join("checkpoints").join(name)).await?,
                // what the attempt before stored and did not tell, or told and did not forget
                false => jobs.storage.objects.delete(&key).await?,
            }
        }
        let samples = format!("{}/samples", job.folder());
        for name in jobs.storage.objects.list(&samples).await? {
            let path = run.path().join("samples").join(&name);
            place(format!("{samples}/{name}"), path).await?;
        }
        let (mut metrics, mut after) = (String::new(), 0);
        loop {
            let events = jobs.queue.events(&job.id, after).await?;
            let Some(last) = events.last() else { break };
            after = last.seq;
            let steps = events.iter().filter(|event| event.kind == "step");
            metrics.extend(steps.map(|event| format!("{}\n", event.data)));
        }
        fs::create_dir_all(run.path())
            .and_then(|()| fs::write(run.metrics(), metrics))
            .map_err(|source| StorageError::Directory {
                path: run.metrics(),
                source,
            })?;
        Ok(())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What is left is swept away when the process starts again.
        let _ = fs::remove_dir_all(&self.path);
    }
}
