//! What a judge says, as it is sent.
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Answer, JudgeIdentity, QuestionKind, Score, Shows, Verdict};

/// Which judge answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Judge)]
pub struct JudgeBody {
    pub name: String,
    /// SHA-256 of the judge's files.
    pub sha256: String,
}

/// What the judge makes of one edit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Scores {
    #[serde(flatten)]
    pub numbers: ScoreNumbers,
    /// Edit verification, identity preservation, then the caller's own.
    pub questions: Vec<AnsweredQuestion>,
}

/// The numbers that sum an edit up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ScoreNumbers {
    /// Probability that the instruction was carried out.
    #[schema(minimum = 0, maximum = 1)]
    pub edit_success: f64,
    /// Probability that everything else is as it was.
    #[schema(minimum = 0, maximum = 1)]
    pub preservation: f64,
    /// Of the two, by default their product; a caller's own questions do not change it.
    #[schema(minimum = 0, maximum = 1)]
    pub overall: f64,
}

/// One question with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AnsweredQuestion {
    pub kind: QuestionKind,
    pub text: String,
    pub shows: Shows,
    pub expected: Answer,
    pub yes_logit: f64,
    pub no_logit: f64,
    /// What the difference of the logits was divided by; 1 unless fitted.
    pub temperature: f64,
    /// `sigmoid((yes_logit - no_logit) / temperature)`
    #[schema(minimum = 0, maximum = 1)]
    pub p_yes: f64,
    /// Probability of the expected answer.
    #[schema(minimum = 0, maximum = 1)]
    pub p_correct: f64,
}

impl From<&JudgeIdentity> for JudgeBody {
    fn from(identity: &JudgeIdentity) -> Self {
        Self {
            name: identity.name.clone(),
            sha256: identity.sha256.clone(),
        }
    }
}

impl From<&Score> for Scores {
    fn from(score: &Score) -> Self {
        Self {
            numbers: score.into(),
            questions: score.verdicts.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Score> for ScoreNumbers {
    fn from(score: &Score) -> Self {
        Self {
            edit_success: score.edit_success,
            preservation: score.preservation,
            overall: score.overall,
        }
    }
}

impl From<&Verdict> for AnsweredQuestion {
    fn from(verdict: &Verdict) -> Self {
        Self {
            kind: verdict.question.kind,
            text: verdict.question.text.clone(),
            shows: verdict.question.shows,
            expected: verdict.question.expected,
            yes_logit: verdict.yes_logit,
            no_logit: verdict.no_logit,
            temperature: verdict.temperature,
            p_yes: verdict.p_yes,
            p_correct: verdict.p_correct,
        }
    }
}
