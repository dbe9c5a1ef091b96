//! Edits that the judge thought little of, kept to be trained on where the operator asks for that.
use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::Row;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    JobError, JobResult, Viewer,
    datasets::{Item, SentRow},
};
use crate::{
    pipelines::{
        edit_type::EditType,
        image::{OutputFormat, RgbImage, encode},
        questions::EditDescription,
    },
    storage::{EVERYONE, Storage, StorageError},
};

/// Edits that are being stored at once; one more is let go, so that a slow store holds up nobody.
const AT_ONCE: usize = 4;
pub(super) const FOLDER: &str = "captured";
const PICTURE: &str = "image.png";

/// What is captured, and how much of it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CaptureSettings {
    pub low_scores: bool,
    /// Overall score under which an edit is kept.
    pub below: f64,
    /// Bytes of all pictures; the oldest go first.
    pub max_bytes: u64,
    pub max_age: Duration,
}

/// The kept edits.
#[derive(Clone, Debug)]
pub struct Captures {
    storage: Storage,
    settings: CaptureSettings,
    room: Arc<Semaphore>,
}

/// What was asked of an edit, as it stands in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapturedEdit {
    pub instruction: String,
    pub edit_type: EditType,
    pub object: String,
    /// Overall score of the best image that came out, 0..1.
    pub score: f64,
}

/// One kept edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub id: String,
    pub owner: String,
    /// Milliseconds since 1970.
    pub created: i64,
    pub bytes: i64,
    pub edit: CapturedEdit,
}

impl Captures {
    pub fn new(storage: Storage, settings: CaptureSettings) -> Self {
        Self {
            storage,
            settings,
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether edits are kept at all.
    pub fn is_on(&self) -> bool {
        self.settings.low_scores
    }

    /// Keeps a judged edit in the background where its score is low; an edit never waits for that, and never fails by it.
    pub fn hear(
        &self,
        viewer: Viewer,
        (picture, description): (RgbImage, &EditDescription),
        score: f64,
    ) {
        if !self.is_on() || score >= self.settings.below {
            return;
        }
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            tracing::warn!("an edit with a low score is not kept: the storage is too slow");
            return;
        };
        let edit = CapturedEdit {
            instruction: description.instruction.clone(),
            edit_type: description.edit_type,
            object: description.object.clone(),
            score,
        };
        let captures = self.clone();
        tokio::spawn(async move {
            if let Err(error) = captures.keep(&viewer, picture, &edit).await {
                tracing::warn!(%error, "an edit with a low score is not kept");
            }
            drop(room);
        });
    }

    /// Keeps an edit, as the viewer's, and lets the oldest go.
    ///
    /// # Errors
    /// No storage.
    pub async fn keep(
        &self,
        viewer: &Viewer,
        picture: RgbImage,
        edit: &CapturedEdit,
    ) -> JobResult<String> {
        let encoded = move || encode(&picture, &OutputFormat::Png).unwrap_or_default();
        // a picture that cannot be written is a row that the set's report names
        let picture = tokio::task::spawn_blocking(encoded)
            .await
            .unwrap_or_default();
        let id = format!("capture-{}", Uuid::now_v7().simple());
        let bytes = picture.len() as i64;
        let objects = &self.storage.objects;
        objects
            .put(&format!("{FOLDER}/{id}/{PICTURE}"), picture)
            .await?;
        let now = self.storage.database.now_ms().await?;
        let insert =
            "INSERT INTO captured (id, owner, created, bytes, edit) VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(&id).bind(viewer.name());
        let insert = insert.bind(now).bind(bytes);
        let insert = insert.bind(serde_json::to_string(edit).unwrap_or_default());
        insert.execute(self.storage.database.pool()).await?;
        self.let_go().await?;
        Ok(id)
    }

    /// Takes away what is too old, and the oldest of what is too much.
    async fn let_go(&self) -> JobResult<()> {
        let now = self.storage.database.now_ms().await?;
        let oldest = now - self.settings.max_age.as_millis() as i64;
        let (mut bytes, everything) = (0, Viewer::admin(EVERYONE));
        for captured in self.all(&everything).await? {
            bytes += captured.bytes as u64;
            if captured.created >= oldest && bytes <= self.settings.max_bytes {
                continue;
            }
            self.drop_if_there(&everything, &captured.id).await?;
        }
        Ok(())
    }

    /// What the viewer sees of what is kept and not too old, newest first.
    ///
    /// # Errors
    /// No storage.
    pub async fn list(&self, viewer: &Viewer) -> JobResult<Vec<Captured>> {
        self.let_go().await?;
        self.all(viewer).await
    }

    async fn all(&self, viewer: &Viewer) -> JobResult<Vec<Captured>> {
        let select = "SELECT id, owner, created, bytes, edit FROM captured WHERE (owner = $1 OR $2 = 1) ORDER BY created DESC, id DESC";
        let select = sqlx::query(select).bind(viewer.name());
        let select = select.bind(viewer.sees_all());
        let rows = select.fetch_all(self.storage.database.pool()).await?;
        let captured = rows.iter().map(|row| {
            let (id, edit): (String, String) = (row.try_get(0)?, row.try_get(4)?);
            let edit = serde_json::from_str(&edit).map_err(|error| StorageError::Unreadable {
                table: "captured edit",
                key: id.clone(),
                problem: error.to_string(),
            });
            Ok(Captured {
                owner: row.try_get(1)?,
                created: row.try_get(2)?,
                bytes: row.try_get(3)?,
                edit: edit?,
                id,
            })
        });
        captured.collect()
    }

    /// Takes one away.
    ///
    /// # Errors
    /// [`JobError::UnknownCapture`], or no storage.
    pub async fn forget(&self, viewer: &Viewer, id: &str) -> JobResult<()> {
        let delete = "DELETE FROM captured WHERE id = $1 AND (owner = $2 OR $3 = 1)";
        let delete = sqlx::query(delete).bind(id).bind(viewer.name());
        let delete = delete.bind(viewer.sees_all());
        let done = delete.execute(self.storage.database.pool()).await?;
        if done.rows_affected() == 0 {
            return Err(JobError::UnknownCapture { id: id.into() });
        }
        let folder = format!("{FOLDER}/{id}");
        Ok(self.storage.objects.delete_folder(&folder).await?)
    }

    async fn drop_if_there(&self, viewer: &Viewer, id: &str) -> JobResult<()> {
        match self.forget(viewer, id).await {
            // somebody else was quicker
            Ok(()) | Err(JobError::UnknownCapture { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes all that the viewer sees away; answers how many there were.
    ///
    /// # Errors
    /// No storage.
    pub async fn forget_all(&self, viewer: &Viewer) -> JobResult<usize> {
        let all = self.all(viewer).await?;
        for captured in &all {
            self.drop_if_there(viewer, &captured.id).await?;
        }
        Ok(all.len())
    }

    /// What was kept since a time (milliseconds since 1970) as rows of a set.
    ///
    /// # Errors
    /// No storage.
    pub async fn items_since(&self, viewer: &Viewer, since: i64) -> JobResult<Vec<Item>> {
        let mut items = Vec::new();
        let kept = self.list(viewer).await?.into_iter();
        for captured in kept.filter(|captured| captured.created >= since) {
            let key = format!("{FOLDER}/{}/{PICTURE}", captured.id);
            // one that somebody takes away meanwhile is no row
            let Some(image) = self.storage.objects.get(&key).await? else {
                continue;
            };
            let CapturedEdit {
                instruction,
                edit_type,
                object,
                ..
            } = captured.edit;
            let row = SentRow {
                instruction,
                edit_type: Some(edit_type),
                object: Some(object),
                ..SentRow::default()
            };
            items.push(Item { row, image });
        }
        Ok(items)
    }
}
