//! Jobs as clients see them: submitted, listed, paused, cancelled, deleted.
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::{
    Job, JobError, JobEvent, JobResult, Plan, Status, Viewer,
    events::{self, News},
    job::{COLUMNS, folder},
};
use crate::storage::Storage;

/// Jobs of one page at most.
pub const PAGE: i64 = 100;

/// The durable queue.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) storage: Storage,
}

/// A request that is to have its effect once, however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Keys of one owner are nothing to another.
    pub owner: String,
    pub key: String,
    /// Hash of the request.
    pub fingerprint: String,
}

/// What a submission made.
#[derive(Debug)]
pub enum Submitted {
    New(Job),
    /// The same key came before, with the same request.
    Again(Job),
}

/// What a client asks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Cancel,
    Pause,
    Resume,
    SaveNow,
    SampleNow,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::SaveNow => "save_now",
            Self::SampleNow => "sample_now",
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Cancel => "queued, running or paused",
            Self::Pause => "queued or running",
            Self::Resume => "paused",
            Self::SaveNow | Self::SampleNow => "running",
        }
    }

    /// What it does to the row `$1`, in which states; `$2` is the time.
    fn update(self) -> &'static str {
        match self {
            Self::Cancel => {
                "status = CASE WHEN status = 'running' THEN 'cancelling' ELSE 'cancelled' END, outcome = '', \
                 finished = CASE WHEN status = 'running' THEN 0 ELSE $2 END \
                 WHERE id = $1 AND status IN ('queued', 'running', 'paused')"
            }
            Self::Pause => {
                "status = CASE WHEN status = 'queued' THEN 'paused' ELSE status END, \
                 pause_wanted = CASE WHEN status = 'running' THEN 1 ELSE 0 END \
                 WHERE id = $1 AND (status = 'queued' OR status = 'running' AND pause_wanted = 0)"
            }
            Self::Resume => {
                "status = CASE WHEN status = 'paused' THEN 'queued' ELSE status END, outcome = '', \
                 pause_wanted = 0 \
                 WHERE id = $1 AND (status = 'paused' OR status = 'running' AND pause_wanted = 1)"
            }
            Self::SaveNow => "saves_wanted = saves_wanted + 1 WHERE id = $1 AND status = 'running'",
            Self::SampleNow => {
                "samples_wanted = samples_wanted + 1 WHERE id = $1 AND status = 'running'"
            }
        }
    }

    /// Whether the job is already where the action leads.
    fn is_done(self, job: &Job) -> bool {
        match self {
            Self::Cancel => matches!(job.status, Status::Cancelling | Status::Cancelled),
            Self::Pause => {
                job.status == Status::Paused || job.status == Status::Running && job.pause_wanted
            }
            Self::Resume | Self::SaveNow | Self::SampleNow => false,
        }
    }
}

impl Queue {
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Puts a job at the end; `steps` is how many it will take.
    ///
    /// # Errors
    /// A key that came with another request, or no database.
    pub async fn submit(
        &self,
        plan: &Plan,
        steps: u64,
        once: Option<&Idempotency>,
    ) -> JobResult<Submitted> {
        let database = &self.storage.database;
        let now = database.now_ms().await?;
        let id = format!("ftjob-{}", Uuid::now_v7().simple());
        let mut tx = database.begin().await?;
        if let Some(once) = once {
            let insert = "INSERT INTO idempotency (owner, key, created, fingerprint, made) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
            let insert = sqlx::query(insert).bind(&once.owner).bind(&once.key);
            let insert = insert.bind(now).bind(&once.fingerprint).bind(&id);
            if insert.execute(&mut *tx).await?.rows_affected() == 0 {
                tx.rollback().await?;
                let made = self.earlier(once).await?;
                return made.map(Submitted::Again).ok_or(JobError::KeyReused);
            }
        }
        let insert = "INSERT INTO jobs (id, status, created, started, finished, dataset, plan, worker, epoch, lease_until, barren, claimed_at_step, step, steps, checkpoint_step, sample_step, pause_wanted, saves_wanted, samples_wanted, events, outcome, owner) VALUES ($1, 'queued', $2, 0, 0, $3, $4, '', 0, 0, 0, 0, 0, $5, 0, 0, 0, 0, 0, 1, '', $6)";
        let text = serde_json::to_string(plan).unwrap_or_default();
        let insert = sqlx::query(insert).bind(&id).bind(now).bind(&plan.dataset);
        insert
            .bind(text)
            .bind(steps as i64)
            .bind(&plan.owner)
            .execute(&mut *tx)
            .await?;
        let news = News::new("queued", json!({}));
        news.write(&mut tx, (&id, 1, now)).await?;
        tx.commit().await?;
        Ok(Submitted::New(self.job(&id).await?))
    }

    /// # Errors
    /// [`JobError::UnknownJob`], or no database.
    pub async fn job(&self, id: &str) -> JobResult<Job> {
        let select = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
        let select = sqlx::query(AssertSqlSafe(select)).bind(id);
        match select.fetch_optional(self.storage.database.pool()).await? {
            Some(row) => Job::of_row(&row),
            None => Err(JobError::UnknownJob { id: id.into() }),
        }
    }

    /// The viewer's, newest first, of those before the job `before` (empty: from the newest); of one state alone where one is named.
    ///
    /// # Errors
    /// No database.
    pub async fn list(
        &self,
        viewer: &Viewer,
        status: Option<Status>,
        before: &str,
        limit: i64,
    ) -> JobResult<Vec<Job>> {
        let select = format!(
            "SELECT {COLUMNS} FROM jobs WHERE ($1 = '' OR status = $1) AND ($2 = '' OR id < $2) AND (owner = $3 OR $4 = 1) ORDER BY id DESC LIMIT $5"
        );
        let select = sqlx::query(AssertSqlSafe(select));
        let select = select.bind(status.map_or("", Status::name)).bind(before);
        let select = select.bind(viewer.name()).bind(viewer.sees_all());
        let select = select.bind(limit.clamp(1, PAGE));
        let rows = select.fetch_all(self.storage.database.pool()).await?;
        rows.iter().map(Job::of_row).collect()
    }

    /// Does what a client asks, or asks it of whoever runs the job.
    ///
    /// # Errors
    /// [`JobError::UnknownJob`], [`JobError::WrongState`], or no database.
    pub async fn act(&self, id: &str, action: Action) -> JobResult<Job> {
        let database = &self.storage.database;
        let now = database.now_ms().await?;
        let mut tx = database.begin().await?;
        let update = format!(
            "UPDATE jobs SET events = events + 1, {} RETURNING events, status",
            action.update()
        );
        let update = sqlx::query(AssertSqlSafe(update)).bind(id);
        let update = match action {
            Action::Cancel => update.bind(now),
            _ => update,
        };
        let Some(row) = update.fetch_optional(&mut *tx).await? else {
            tx.rollback().await?;
            let job = self.job(id).await?;
            if action.is_done(&job) {
                return Ok(job);
            }
            return Err(JobError::WrongState {
                action: action.name(),
                status: job.status,
                needs: action.needs(),
            });
        };
        let status: String = row.try_get(1)?;
        let news = News::new("asked", json!({"action": action.name(), "status": status}));
        news.write(&mut tx, (id, row.try_get(0)?, now)).await?;
        tx.commit().await?;
        self.job(id).await
    }

    /// Takes an ended job away, with its events and files.
    ///
    /// # Errors
    /// [`JobError::UnknownJob`], [`JobError::WrongState`], no database or no object store.
    pub async fn delete(&self, id: &str) -> JobResult<()> {
        let job = self.job(id).await?;
        if !job.status.is_final() {
            return Err(JobError::WrongState {
                action: "deleting",
                status: job.status,
                needs: "succeeded, failed or cancelled",
            });
        }
        self.storage.objects.delete_folder(&folder(id)).await?;
        let mut tx = self.storage.database.begin().await?;
        for delete in [
            "DELETE FROM events WHERE job = $1",
            "DELETE FROM idempotency WHERE made = $1",
            "DELETE FROM jobs WHERE id = $1",
        ] {
            sqlx::query(delete).bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What happened after the event of number `after`, in order.
    ///
    /// # Errors
    /// No database.
    pub async fn events(&self, id: &str, after: i64) -> JobResult<Vec<JobEvent>> {
        events::after(&self.storage.database, id, after).await
    }
}
