//! Instruction sets that clients send: read, checked, kept, and laid out for a run.
mod archive;
mod checked;
mod demo;
mod error;
mod filling;
mod report;
mod rows;
mod rules;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sqlx::{Row, any::AnyRow};
use uuid::Uuid;

pub use self::{
    archive::{ArchiveLimits, unpack},
    demo::{DEMO, DEMO_REPLAY},
    error::{DatasetError, LineProblem},
    report::{CaptionReport, Filled, FilledByModel, LineNote, Report, RowVerdict, Verdict},
    rows::{Item, SentRow},
    table::find_table,
};
use self::{checked::Checked, demo::BuiltIn};
use super::{FailurePoint, JobError, JobResult, Viewer, captions::Captioner};
use crate::{
    pipelines::image::ImageLimits,
    storage::{EVERYONE, Storage, StorageError},
};

/// Files by their path inside of what was sent.
pub type SentFiles = BTreeMap<String, Vec<u8>>;

/// The sets that are kept.
#[derive(Clone, Debug)]
pub struct Datasets {
    storage: Storage,
    limits: SetLimits,
    /// Whoever fills what rows do not say, before the rules do.
    captioner: Option<Captioner>,
}

/// What bounds a set.
#[derive(Clone, Debug)]
pub struct SetLimits {
    pub archive: ArchiveLimits,
    pub images: ImageLimits,
    pub max_rows: usize,
}

/// One kept set.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub id: String,
    pub owner: String,
    pub name: String,
    /// Milliseconds since 1970.
    pub created: i64,
    pub report: Report,
}

/// What a client sent.
#[derive(Debug)]
pub enum Sent {
    /// A zip or tar with one JSONL or CSV file, and the images that it names.
    Archive(Vec<u8>),
    /// The table and the images apart.
    Files(SentFiles),
    /// Rows with their images in them.
    Items(Vec<Item>),
}

/// What a set is called, and whose it is.
struct Names<'a> {
    id: &'a str,
    name: &'a str,
    owner: &'a str,
}

const ROWS: &str = "rows.jsonl";
/// Rows that are kept and not trained on.
const REJECTED: &str = "rejected.jsonl";

impl Datasets {
    pub fn new(storage: Storage, limits: SetLimits) -> Self {
        Self {
            storage,
            limits,
            captioner: None,
        }
    }

    /// The same, with a model that is asked about rows.
    #[must_use]
    pub fn with_captioner(self, captioner: Option<Captioner>) -> Self {
        Self { captioner, ..self }
    }

    pub fn limits(&self) -> &SetLimits {
        &self.limits
    }

    /// Checks what was sent and keeps it, as the viewer's; a model that is configured is asked first.
    ///
    /// # Errors
    /// [`DatasetError`], or no storage.
    pub async fn create(&self, viewer: &Viewer, name: &str, sent: Sent) -> JobResult<Dataset> {
        if self.is_taken(viewer, name).await? {
            return Err(DatasetError::NameTaken { name: name.into() }.into());
        }
        let (datasets, viewer, name) = (self.clone(), viewer.clone(), name.to_owned());
        // a model takes its time: what was sent is kept even where the client does not wait for the answer
        let created = tokio::spawn(async move { datasets.read(&viewer, &name, sent).await });
        created.await.map_err(|_| DatasetError::Defect)?
    }

    /// Whether the viewer cannot use that name, as far as can be told before the set is read.
    async fn is_taken(&self, viewer: &Viewer, name: &str) -> JobResult<bool> {
        if BuiltIn::named(name).is_some() {
            return Ok(true);
        }
        let select = "SELECT id FROM datasets WHERE owner = $1 AND name = $2";
        let select = sqlx::query(select).bind(viewer.name()).bind(name);
        let row = select.fetch_optional(self.storage.database.pool()).await?;
        Ok(row.is_some())
    }

    async fn read(&self, viewer: &Viewer, name: &str, sent: Sent) -> JobResult<Dataset> {
        let limits = self.limits.clone();
        let read = move || rows::read(sent, &limits);
        let usable = tokio::task::spawn_blocking(read).await;
        let mut usable = usable.map_err(|_| DatasetError::Defect)??;
        let captions = match &self.captioner {
            None => None,
            Some(captioner) => filling::fill(captioner, &mut usable).await,
        };
        let id = format!("set-{}", Uuid::now_v7().simple());
        let names = Names {
            id: &id,
            name,
            owner: viewer.name(),
        };
        self.keep(&names, Checked::new(usable, captions)).await?;
        self.dataset(viewer, &id).await
    }

    async fn keep(&self, names: &Names<'_>, set: Checked) -> JobResult<()> {
        let Names { id, name, owner } = names;
        let objects = &self.storage.objects;
        for (file, bytes) in set.images {
            objects.put(&format!("datasets/{id}/{file}"), bytes).await?;
        }
        if !set.rejected.is_empty() {
            let key = format!("datasets/{id}/{REJECTED}");
            objects.put(&key, set.rejected.into_bytes()).await?;
        }
        objects
            .put(&format!("datasets/{id}/{ROWS}"), set.rows.into_bytes())
            .await?;
        FailurePoint::SetStored.reach(id);
        let now = self.storage.database.now_ms().await?;
        let insert = "INSERT INTO datasets (id, owner, name, created, report) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let report = serde_json::to_string(&set.report).unwrap_or_default();
        let insert = sqlx::query(insert).bind(id).bind(owner).bind(name);
        let insert = insert.bind(now).bind(report);
        let done = insert.execute(self.storage.database.pool()).await?;
        if done.rows_affected() == 0 && BuiltIn::named(name).is_none() {
            objects.delete_folder(&format!("datasets/{id}")).await?;
            return Err(DatasetError::NameTaken {
                name: (*name).into(),
            }
            .into());
        }
        Ok(())
    }

    /// By id or name, the viewer's own before others of that name; the built-in ones are drawn when they are first asked for.
    ///
    /// # Errors
    /// [`JobError::UnknownDataset`], or no storage.
    pub async fn dataset(&self, viewer: &Viewer, name: &str) -> JobResult<Dataset> {
        let select = "SELECT id, owner, name, created, report FROM datasets WHERE (id = $1 OR name = $1) AND (owner = $2 OR owner = '' OR $3 = 1) ORDER BY CASE WHEN owner = $2 THEN 0 ELSE 1 END, id LIMIT 1";
        let select = sqlx::query(select).bind(name).bind(viewer.name());
        let select = select.bind(viewer.sees_all());
        let row = select.fetch_optional(self.storage.database.pool()).await?;
        if let Some(row) = row {
            return Dataset::of_row(&row);
        }
        let unknown = || JobError::UnknownDataset { name: name.into() };
        let set = BuiltIn::named(name).ok_or_else(unknown)?;
        let drawn = tokio::task::spawn_blocking(move || set.draw()).await;
        let drawn = drawn.map_err(|_| DatasetError::Defect)??;
        let names = Names {
            id: set.id,
            name: set.name,
            owner: EVERYONE,
        };
        self.keep(&names, drawn).await?;
        Box::pin(self.dataset(viewer, name)).await
    }

    /// Newest first.
    ///
    /// # Errors
    /// No database.
    pub async fn list(&self, viewer: &Viewer) -> JobResult<Vec<Dataset>> {
        let select = "SELECT id, owner, name, created, report FROM datasets WHERE (owner = $1 OR owner = '' OR $2 = 1) ORDER BY created DESC, id";
        let select = sqlx::query(select).bind(viewer.name());
        let rows = select.bind(viewer.sees_all());
        let rows = rows.fetch_all(self.storage.database.pool());
        rows.await?.iter().map(Dataset::of_row).collect()
    }

    /// Takes a set away that no living job needs.
    ///
    /// # Errors
    /// [`JobError::BuiltIn`], [`JobError::DatasetInUse`], [`JobError::UnknownDataset`], or no storage.
    pub async fn delete(&self, viewer: &Viewer, name: &str) -> JobResult<()> {
        let Dataset {
            id, name, owner, ..
        } = self.dataset(viewer, name).await?;
        if !viewer.changes(&owner) {
            return Err(JobError::BuiltIn { name });
        }
        let living = "SELECT id, owner FROM jobs WHERE (dataset = $1 OR plan LIKE $2) AND status IN ('queued', 'running', 'paused', 'cancelling')";
        let mut tx = self.storage.database.begin().await?;
        let replayed = format!("%\"replay\":\"{id}\"%");
        let job = sqlx::query(living).bind(&id).bind(replayed);
        if let Some(row) = job.fetch_optional(&mut *tx).await? {
            let (job, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let by = match viewer.sees(&owner) {
                true => format!("the job {job}"),
                false => "a job of another key".to_owned(),
            };
            return Err(JobError::DatasetInUse { name, by });
        }
        let delete = sqlx::query("DELETE FROM datasets WHERE id = $1").bind(&id);
        delete.execute(&mut *tx).await?;
        tx.commit().await?;
        let folder = format!("datasets/{id}");
        Ok(self.storage.objects.delete_folder(&folder).await?)
    }

    /// Writes the set into `folder`; answers the file of its rows.
    ///
    /// # Errors
    /// The folder cannot be written, or no storage.
    pub async fn lay_out(&self, id: &str, folder: &Path) -> JobResult<PathBuf> {
        let unwritable = |source| StorageError::Directory {
            path: folder.to_owned(),
            source,
        };
        let objects = &self.storage.objects;
        let prefix = format!("datasets/{id}");
        for file in objects.list(&prefix).await? {
            let bytes = objects.get(&format!("{prefix}/{file}")).await?;
            let path = folder.join(&file);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent).map_err(unwritable)?;
            fs::write(&path, bytes.unwrap_or_default()).map_err(unwritable)?;
        }
        Ok(folder.join(ROWS))
    }
}

impl Dataset {
    fn of_row(row: &AnyRow) -> JobResult<Self> {
        let id: String = row.try_get(0)?;
        let report: String = row.try_get(4)?;
        let report = serde_json::from_str(&report).map_err(|error| StorageError::Unreadable {
            table: "dataset",
            key: id.clone(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            owner: row.try_get(1)?,
            name: row.try_get(2)?,
            created: row.try_get(3)?,
            id,
            report,
        })
    }
}

#[cfg(test)]
mod tests;
