//! The fields of a request for a job.
use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::{
    http::{
        datasets::{DatasetItem, items},
        fields::{Fields, Need},
        json::Json,
        multipart::PartKinds,
        problem::{Code, Problem},
    },
    jobs::{FinetuneRequest, Viewer, datasets::Item},
};

/// A request for a job.
#[derive(ToSchema)]
#[schema(as = FinetuneBody)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `FinetuneForm` reads them"
)]
pub struct FinetuneBody {
    /// Id or name of a set; `demo` is built in. Or send `items`.
    #[schema(example = "demo")]
    pub dataset: Option<String>,
    /// Rows with their images, kept as a set of their own.
    pub items: Option<Vec<DatasetItem>>,
    /// Or train on the edits with low scores that were kept since a time.
    pub source: Option<FinetuneSource>,
    /// Name of a recipe; `finetune-demo` where it is absent.
    #[schema(example = "finetune-demo")]
    pub recipe: Option<String>,
    /// Any of `steps`, `lr`, `rank`, `k` (steps of the unrolled path), `seed`, `holdout` and `weights` (of the losses, by name).
    pub overrides: Option<Map<String, Value>>,
    /// Adapter (id or alias) that training goes on from; its rank is taken over, and the gate compares with it.
    #[schema(example = "best")]
    pub base_adapter: Option<String>,
    /// Alias that the adapter gets if it passes the gate.
    #[schema(example = "best")]
    pub publish_as: Option<String>,
    /// `true` answers what would be run, and queues nothing.
    pub validate_only: Option<bool>,
}

/// Edits that `/v1/captured` lists.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the fields for the OpenAPI; `FinetuneForm` reads them"
)]
pub struct FinetuneSource {
    /// Seconds since 1970.
    pub captured_since: u64,
}

pub const PARTS: PartKinds = PartKinds {
    files: &[],
    values: &["validate_only"],
    structures: &["overrides", "source"],
};

/// Where the rows of a job come from.
#[derive(Debug)]
pub enum SentRows {
    /// The request names the set.
    Kept,
    Items(Vec<Item>),
    /// Since a time, in milliseconds since 1970.
    Captured(i64),
}

/// A request, read.
#[derive(Debug)]
pub struct FinetuneForm {
    pub request: FinetuneRequest,
    pub rows: SentRows,
    pub validate_only: bool,
    /// Hash of everything that was asked for.
    pub fingerprint: String,
}

impl FinetuneForm {
    pub fn read(mut fields: Fields<'_>) -> Result<Self, Problem> {
        let mut text = |name| fields.text(name, Need::Optional).map(Cow::into_owned);
        let (dataset, recipe) = (text("dataset"), text("recipe"));
        let (base_adapter, publish_as) = (text("base_adapter"), text("publish_as"));
        let items = items(&mut fields, Need::Optional);
        let overrides = match fields.take("overrides", Need::Optional) {
            None => Map::new(),
            Some(Json::Object(entries)) => object(entries),
            Some(other) => {
                let message = format!("must be an object, not {}", other.type_name());
                fields.refuse("overrides", message);
                Map::new()
            }
        };
        let validate_only = fields.boolean("validate_only", Need::Optional);
        let since = captured_since(&mut fields);
        let wrong = |name: &str| {
            fields
                .errors
                .iter()
                .any(|error| error.pointer.starts_with(name))
        };
        let sent = [
            dataset.is_some() || wrong("/dataset"),
            items.is_some() || wrong("/items"),
            since.is_some() || wrong("/source"),
        ];
        if sent.into_iter().filter(|sent| *sent).count() != 1 {
            fields.refuse(
                "dataset",
                "is missing, or given beside items or source; send one of the three",
            );
        }
        let refused = |errors| Problem::fields(Code::InvalidRequest, errors);
        fields.finish().map_err(refused)?;
        let request = FinetuneRequest {
            viewer: Viewer::default(),
            dataset: dataset.unwrap_or_default(),
            recipe,
            overrides,
            base_adapter,
            publish_as,
        };
        let hash = Sha256::digest(format!("{request:?} {items:?} {since:?}"));
        Ok(Self {
            request,
            rows: match (items, since) {
                (Some(items), _) => SentRows::Items(items),
                (None, Some(since)) => SentRows::Captured(since),
                (None, None) => SentRows::Kept,
            },
            validate_only: validate_only.unwrap_or_default(),
            fingerprint: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// In milliseconds since 1970.
fn captured_since(fields: &mut Fields<'_>) -> Option<i64> {
    const MAX: u64 = i64::MAX as u64 / 1000;
    let entries = match fields.take("source", Need::Optional)? {
        Json::Object(entries) => entries,
        other => {
            let message = format!("must be an object, not {}", other.type_name());
            fields.refuse("source", message);
            return None;
        }
    };
    let mut source = Fields::new(fields.pointer("source"), entries);
    let since = source.integer("captured_since", Need::Required, 0..=MAX);
    if let Err(errors) = source.finish() {
        fields.errors.extend(errors);
    }
    Some(since? as i64 * 1000)
}

fn object(entries: Vec<(Cow<'_, str>, Json<'_>)>) -> Map<String, Value> {
    let entries = entries.into_iter();
    entries
        .map(|(name, value)| (name.into_owned(), plain(value)))
        .collect()
}

fn plain(value: Json<'_>) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => value.into(),
        Json::Number(value) => Value::Number(value),
        Json::Text(text) => text.into_owned().into(),
        Json::List(list) => list.into_iter().map(plain).collect(),
        Json::Object(entries) => Value::Object(object(entries)),
    }
}
