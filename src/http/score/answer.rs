//! What a request for scores answers.
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    engine::{JudgeIdentity, Score, Scored, SourceImage},
    http::{
        scores::{JudgeBody, Scores},
        timings::{Clock, ScoreTimingsMs, now_secs},
        warning::AnswerWarning,
    },
};

/// The answer about one pair of images, or several.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ScoreAnswer {
    One(OneAnswer),
    Batch(BatchAnswer),
}

/// The answer about one pair of images.
#[derive(Debug, Serialize, ToSchema)]
pub struct OneAnswer {
    #[serde(flatten)]
    pub head: AnswerHead,
    #[serde(flatten)]
    pub item: ScoredItem,
}

/// The answers about several pairs of images, in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    #[serde(flatten)]
    pub head: AnswerHead,
    pub items: Vec<ScoredItem>,
}

/// What every answer about scores says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScoreAnswerHead)]
pub struct AnswerHead {
    pub id: String,
    /// Seconds since 1970, UTC.
    pub created: u64,
    /// The judge's name.
    pub model: String,
    pub judge: JudgeBody,
    pub timings_ms: ScoreTimingsMs,
}

/// What the judge makes of one pair of images.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoredItem {
    #[serde(flatten)]
    pub scores: Scores,
    /// `WIDTHxHEIGHT`
    pub reference_size: String,
    /// `WIDTHxHEIGHT`
    pub edited_size: String,
    /// What was honoured only in part.
    pub warnings: Vec<AnswerWarning>,
}

/// What an answer tells of the images beside their scores.
#[derive(Clone, Debug)]
pub struct Images {
    /// Width and height.
    reference: (u32, u32),
    edited: (u32, u32),
    warnings: Vec<AnswerWarning>,
}

impl Images {
    pub fn new(reference: &SourceImage, edited: &SourceImage) -> Self {
        let named = [("reference", reference), ("edited", edited)];
        let warnings = named.into_iter().flat_map(|(name, image)| {
            let warnings = image.warnings.iter();
            warnings.map(move |warning| AnswerWarning::of_image(name, warning))
        });
        Self {
            reference: reference.rgb.dimensions(),
            edited: edited.rgb.dimensions(),
            warnings: warnings.collect(),
        }
    }
}

impl ScoredItem {
    pub fn new(score: &Score, images: Images) -> Self {
        let size = |(width, height)| format!("{width}x{height}");
        let mut warnings = images.warnings;
        warnings.extend(score.warnings.iter().map(AnswerWarning::from));
        Self {
            scores: score.into(),
            reference_size: size(images.reference),
            edited_size: size(images.edited),
            warnings,
        }
    }
}

impl AnswerHead {
    pub fn new(scored: &Scored, judge: &JudgeIdentity, clock: Clock) -> Self {
        Self {
            id: format!("score_{}", Uuid::now_v7().simple()),
            created: now_secs(),
            model: judge.name.clone(),
            judge: judge.into(),
            timings_ms: ScoreTimingsMs::new(scored, clock),
        }
    }
}
