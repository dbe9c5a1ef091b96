//! What an image edit answers.
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    engine::Edited,
    http::{
        edit::{AnswerCandidate, Finished, ReceiptBody},
        scores::Scores,
        timings::now_secs,
        warning::AnswerWarning,
    },
};

/// OpenAI's answer, with the native one's parts beside.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImagesAnswer {
    /// Seconds since 1970, UTC.
    pub created: u64,
    pub data: Vec<ImageData>,
    #[serde(flatten)]
    pub common: Common,
}

/// One edited image.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageData {
    /// The file, in base64.
    #[schema(format = Byte)]
    pub b64_json: String,
    /// Seed that gives this image alone.
    pub seed: u64,
    /// What the judge makes of it; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Scores>,
}

/// What answers and the last event of a stream have in common.
#[derive(Debug, Serialize, ToSchema)]
pub struct Common {
    /// `opaque`.
    pub background: &'static str,
    pub output_format: String,
    pub quality: &'static str,
    /// `WIDTHxHEIGHT`.
    pub size: String,
    pub usage: Usage,
    /// Name of the model.
    pub model: String,
    /// What was honoured only in part.
    pub warnings: Vec<AnswerWarning>,
    /// With `min_score`: whether the best image reaches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// With `best_of` or a high quality: every candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<AnswerCandidate>>,
    /// For `/v1/edit`; absent with a mask, which that route does not take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptBody>,
    /// With a mask: what became of the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<MaskAnswer>,
}

/// How well the rest was kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaskAnswer {
    /// Where the mask is opaque: largest difference of a colour channel between the input and the file that is answered.
    pub max_difference_outside: u8,
}

/// What the generator read and wrote.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Usage {
    pub input_tokens: usize,
    pub output_tokens: usize,
    pub total_tokens: usize,
    pub input_tokens_details: InputTokens,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct InputTokens {
    pub text_tokens: usize,
    pub image_tokens: usize,
}

impl Usage {
    fn of(edited: &Edited) -> Self {
        let made = edited.candidates.len().max(edited.images.len());
        let (text, image) = (edited.tokens.text, edited.tokens.image);
        Self {
            input_tokens: text + image,
            output_tokens: image * made,
            total_tokens: text + image + image * made,
            input_tokens_details: InputTokens {
                text_tokens: text,
                image_tokens: image,
            },
        }
    }
}

/// The parts of the answer; `warnings` are those of the fields.
pub fn answer(
    finished: &Finished,
    quality: &'static str,
    warnings: Vec<AnswerWarning>,
) -> ImagesAnswer {
    let native = finished.answer();
    let edited = &finished.edited;
    let sizes = native.images.first();
    let size = sizes.map_or_else(String::new, |image| {
        format!("{}x{}", image.width, image.height)
    });
    let kept = edited.kept_difference;
    let receipt = kept.is_none().then_some(native.receipt);
    ImagesAnswer {
        created: now_secs(),
        common: Common {
            background: "opaque",
            output_format: finished.outcome.output_format().to_owned(),
            quality,
            size,
            usage: Usage::of(edited),
            model: native.model,
            warnings: warnings.into_iter().chain(native.warnings).collect(),
            accepted: native.accepted,
            candidates: native.candidates,
            receipt,
            mask: kept.map(|max_difference_outside| MaskAnswer {
                max_difference_outside,
            }),
        },
        data: native
            .images
            .into_iter()
            .map(|image| ImageData {
                b64_json: image.b64_json,
                seed: image.seed,
                scores: image.scores,
            })
            .collect(),
    }
}
