//! What an edit answers.
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{plan::Outcome, receipt_body::ReceiptBody};
use crate::{
    engine::{Candidate, Edited, EncodedImage, Profile},
    http::{
        scores::{JudgeBody, Scores},
        timings::{Clock, TimingsMs, now_secs},
        warning::AnswerWarning,
    },
};

/// An edit's answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct EditAnswer {
    pub id: String,
    /// Seconds since 1970, UTC.
    pub created: u64,
    /// Name of the model.
    pub model: String,
    pub images: Vec<AnswerImage>,
    /// Who judged; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeBody>,
    /// With `min_score`: whether the best of the images has an `overall` of at least that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// With `best_of`: every candidate, in the order of the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<AnswerCandidate>>,
    pub timings_ms: TimingsMs,
    /// What was honoured only in part.
    pub warnings: Vec<AnswerWarning>,
    pub receipt: ReceiptBody,
}

/// One edited image.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerImage {
    /// The file, in base64.
    #[schema(format = Byte)]
    pub b64_json: String,
    /// Seed that gives this image alone.
    pub seed: u64,
    pub width: u32,
    pub height: u32,
    /// What the judge makes of it; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// One of several edits that were judged.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerCandidate {
    pub seed: u64,
    pub scores: Scores,
}

impl EditAnswer {
    /// The answer; it holds the images in base64.
    pub fn new(edited: &Edited, profile: &Profile, outcome: &Outcome, clock: Clock) -> Self {
        let images = edited.images.iter().map(|image| AnswerImage {
            b64_json: BASE64_STANDARD.encode(&image.bytes),
            seed: image.seed,
            width: image.width,
            height: image.height,
            scores: judged_as(edited, image).map(|candidate| (&candidate.score).into()),
        });
        Self {
            images: images.collect(),
            ..Self::head(edited, profile, outcome, clock)
        }
    }

    /// The answer without its images.
    pub fn head(edited: &Edited, profile: &Profile, outcome: &Outcome, clock: Clock) -> Self {
        let judged = outcome.judged.as_ref();
        let judge = judged.and(profile.judge.as_ref());
        let chosen = judged.is_some_and(|judged| judged.best_of.is_some());
        Self {
            id: format!("edit_{}", Uuid::now_v7().simple()),
            created: now_secs(),
            model: profile.identity.name.clone(),
            images: Vec::new(),
            judge: judge.map(|judge| (&judge.identity).into()),
            accepted: judged.and_then(|judged| judged.accepted(edited)),
            candidates: chosen.then(|| edited.candidates.iter().map(Into::into).collect()),
            timings_ms: TimingsMs::new(edited, clock),
            warnings: warnings(edited),
            receipt: ReceiptBody::from(&outcome.receipt(edited)),
        }
    }
}

impl From<&Candidate> for AnswerCandidate {
    fn from(candidate: &Candidate) -> Self {
        Self {
            seed: candidate.seed,
            scores: (&candidate.score).into(),
        }
    }
}

/// The candidate that an image is.
pub fn judged_as<'a>(edited: &'a Edited, image: &EncodedImage) -> Option<&'a Candidate> {
    let mut candidates = edited.candidates.iter();
    candidates.find(|candidate| candidate.seed == image.seed)
}

/// All candidates have the same warnings: those of their common instruction and size.
fn warnings(edited: &Edited) -> Vec<AnswerWarning> {
    let judged = edited.candidates.first();
    let judged = judged.into_iter().flat_map(|first| &first.score.warnings);
    let warnings = edited.warnings.iter().map(AnswerWarning::from);
    warnings.chain(judged.map(AnswerWarning::from)).collect()
}
