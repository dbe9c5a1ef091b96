//! Jobs as workers see them: claimed under a lease, kept by a heartbeat, lost when it expires.
use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use super::{
    FailureCode, Job, JobError, JobResult, Outcome, Queue, Status, events::News, job::COLUMNS,
};
use crate::storage::Dialect;

/// Tries in a row that may die without a new checkpoint.
pub const BARREN_TRIES: i64 = 3;

/// The right to work on a job: void once another claim has a higher epoch.
#[derive(Clone, Debug)]
pub struct Claim {
    pub job: Job,
    pub epoch: i64,
}

/// What whoever runs a job is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    pub cancel: bool,
    pub pause: bool,
    /// Counts requests.
    pub saves: i64,
    pub samples: i64,
}

impl Queue {
    /// The oldest queued job, if there is one.
    ///
    /// # Errors
    /// No database.
    pub async fn claim(&self, worker: &str, lease: Duration) -> JobResult<Option<Claim>> {
        let database = &self.storage.database;
        let now = database.now_ms().await?;
        let others = match database.dialect() {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
        };
        let update = format!(
            "UPDATE jobs SET status = 'running', worker = $1, epoch = epoch + 1, lease_until = $2, \
             started = CASE WHEN started = 0 THEN $3 ELSE started END, claimed_at_step = checkpoint_step, events = events + 1 \
             WHERE status = 'queued' AND id = (SELECT id FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 1 {others}) \
             RETURNING {COLUMNS}, events"
        );
        let until = now + lease.as_millis() as i64;
        let mut tx = database.begin().await?;
        let update = sqlx::query(AssertSqlSafe(update)).bind(worker);
        let update = update.bind(until).bind(now);
        let Some(row) = update.fetch_optional(&mut *tx).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let job = Job::of_row(&row)?;
        let data = json!({"try": job.tries, "from_step": job.checkpoint_step});
        let news = News::new("started", data);
        let seq = row.try_get("events")?;
        news.write(&mut tx, (&job.id, seq, now)).await?;
        tx.commit().await?;
        let epoch = job.tries;
        Ok(Some(Claim { job, epoch }))
    }

    /// Keeps the lease; answers what is asked of its holder.
    ///
    /// # Errors
    /// [`JobError::Fenced`], or no database.
    pub async fn keep(&self, claim: &Claim, lease: Duration) -> JobResult<Wishes> {
        let database = &self.storage.database;
        let until = database.now_ms().await? + lease.as_millis() as i64;
        let update = "UPDATE jobs SET lease_until = $1 WHERE id = $2 AND epoch = $3 AND status IN ('running', 'cancelling') RETURNING status, pause_wanted, saves_wanted, samples_wanted";
        let update = sqlx::query(update).bind(until).bind(&claim.job.id);
        let update = update.bind(claim.epoch);
        let row = update.fetch_optional(database.pool()).await?;
        let row = row.ok_or_else(|| claim.fenced())?;
        Ok(Wishes {
            cancel: row.try_get::<String, _>(0)? == Status::Cancelling.name(),
            pause: row.try_get::<i64, _>(1)? != 0,
            saves: row.try_get(2)?,
            samples: row.try_get(3)?,
        })
    }

    /// Queues the jobs whose lease is over again; those that died too often without progress end.
    ///
    /// # Errors
    /// No database.
    pub async fn expire(&self) -> JobResult<()> {
        let database = &self.storage.database;
        let now = database.now_ms().await?;
        let select = "SELECT id, epoch, status, barren, checkpoint_step, claimed_at_step, pause_wanted FROM jobs WHERE status IN ('running', 'cancelling') AND lease_until < $1";
        let rows = sqlx::query(select).bind(now);
        for row in rows.fetch_all(database.pool()).await? {
            let (id, epoch): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            let cancelling = row.try_get::<String, _>(2)? == Status::Cancelling.name();
            let progressed = row.try_get::<i64, _>(4)? > row.try_get::<i64, _>(5)?;
            let barren = match progressed {
                true => 0,
                false => row.try_get::<i64, _>(3)? + 1,
            };
            let paused = row.try_get::<i64, _>(6)? != 0;
            let message = format!(
                "the process died {BARREN_TRIES} times in a row without a new checkpoint; look into the server's log, or lower batch.micro"
            );
            let dead = Outcome::Failed {
                code: FailureCode::DeadLetter,
                message,
            };
            let (to, outcome) = match (cancelling, barren >= BARREN_TRIES, paused) {
                (true, _, _) => (Status::Cancelled, None),
                (false, true, _) => (Status::Failed, Some(dead)),
                (false, false, true) => (Status::Paused, None),
                (false, false, false) => (Status::Queued, None),
            };
            let update = "UPDATE jobs SET status = $1, barren = $2, outcome = $3, pause_wanted = 0, finished = $4, events = events + 1 WHERE id = $5 AND epoch = $6 AND status IN ('running', 'cancelling') AND lease_until < $7 RETURNING events";
            let mut tx = database.begin().await?;
            let update = sqlx::query(update).bind(to.name()).bind(barren);
            let update = update.bind(text(outcome.as_ref()));
            let update = update.bind(if to.is_final() { now } else { 0 });
            let update = update.bind(&id).bind(epoch).bind(now);
            let Some(row) = update.fetch_optional(&mut *tx).await? else {
                tx.rollback().await?;
                continue;
            };
            let data =
                json!({"status": to, "try": epoch, "barren_tries": barren, "outcome": outcome});
            let news = News::new("lease_expired", data);
            news.write(&mut tx, (&id, row.try_get(0)?, now)).await?;
            tx.commit().await?;
            tracing::warn!(job = id, status = %to, "the lease of a job expired");
        }
        Ok(())
    }

    /// Ends every lease: only for a process that knows that no other lives.
    ///
    /// # Errors
    /// No database.
    pub async fn take_over(&self) -> JobResult<()> {
        let update = "UPDATE jobs SET lease_until = 0 WHERE status IN ('running', 'cancelling')";
        sqlx::query(update)
            .execute(self.storage.database.pool())
            .await?;
        self.expire().await
    }
}

impl Claim {
    pub(super) fn fenced(&self) -> JobError {
        JobError::Fenced {
            id: self.job.id.clone(),
        }
    }
}

/// As it stands in a row.
pub(super) fn text(outcome: Option<&Outcome>) -> String {
    let text = outcome.map(|outcome| serde_json::to_string(outcome).unwrap_or_default());
    text.unwrap_or_default()
}
