//! What the holder of a claim writes: every write under its epoch, every step told once.
use serde_json::{Value, json};
use sqlx::{Any, AssertSqlSafe, Row, Transaction};

use super::{Claim, JobResult, Outcome, Queue, Status, claim::text, events::News};

/// What a job has come to, by the column that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    Step,
    Checkpoint,
    Samples,
}

impl Reached {
    fn column(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Checkpoint => "checkpoint_step",
            Self::Samples => "sample_step",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Checkpoint => "checkpoint",
            Self::Samples => "samples",
        }
    }
}

const HELD: &str = "epoch = $2 AND status IN ('running', 'cancelling')";

impl Queue {
    /// Tells that the job reached `step`; what an earlier try told already is not told again.
    ///
    /// # Errors
    /// [`super::JobError::Fenced`], or no database.
    pub async fn reached(
        &self,
        claim: &Claim,
        (what, step): (Reached, u64),
        data: Value,
    ) -> JobResult<()> {
        let database = &self.storage.database;
        let now = database.now_ms().await?;
        let column = what.column();
        let update = format!(
            "UPDATE jobs SET {column} = $3, events = events + 1 WHERE id = $1 AND {HELD} AND {column} < $3 RETURNING events"
        );
        let mut tx = database.begin().await?;
        let update = sqlx::query(AssertSqlSafe(update)).bind(&claim.job.id);
        let update = update.bind(claim.epoch).bind(step as i64);
        let Some(row) = update.fetch_optional(&mut *tx).await? else {
            tx.rollback().await?;
            return self.held(claim).await;
        };
        let news = News::new(what.kind(), data);
        news.write(&mut tx, (&claim.job.id, row.try_get(0)?, now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// # Errors
    /// [`super::JobError::Fenced`], or no database.
    pub async fn held(&self, claim: &Claim) -> JobResult<()> {
        let select = format!("SELECT 1 FROM jobs WHERE id = $1 AND {HELD}");
        let select = sqlx::query(AssertSqlSafe(select)).bind(&claim.job.id);
        let row = select
            .bind(claim.epoch)
            .fetch_optional(self.storage.database.pool());
        row.await?.map(drop).ok_or_else(|| claim.fenced())
    }

    /// Gives the job back: paused, queued again, cancelled, or failed.
    ///
    /// # Errors
    /// [`super::JobError::Fenced`], or no database.
    pub async fn leave(
        &self,
        claim: &Claim,
        to: Status,
        outcome: Option<&Outcome>,
    ) -> JobResult<()> {
        let mut tx = self.storage.database.begin().await?;
        self.end(&mut tx, claim, (to, outcome)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// As [`Self::leave`], together with what else the transaction writes.
    pub(super) async fn end(
        &self,
        tx: &mut Transaction<'static, Any>,
        claim: &Claim,
        (to, outcome): (Status, Option<&Outcome>),
    ) -> JobResult<()> {
        let now = self.storage.database.now_in(tx).await?;
        let update = format!(
            "UPDATE jobs SET status = $3, outcome = $4, finished = $5, pause_wanted = 0, lease_until = 0, events = events + 1 WHERE id = $1 AND epoch = $2 AND status IN ({}) RETURNING events",
            Status::sources_of(to)
        );
        let update = sqlx::query(AssertSqlSafe(update)).bind(&claim.job.id);
        let update = update.bind(claim.epoch).bind(to.name());
        let update = update.bind(text(outcome));
        let update = update.bind(if to.is_final() { now } else { 0 });
        let row = update.fetch_optional(&mut **tx).await?;
        let row = row.ok_or_else(|| claim.fenced())?;
        let news = News::new(to.name(), json!({"outcome": outcome}));
        news.write(tx, (&claim.job.id, row.try_get(0)?, now)).await
    }
}
