//! Logits to probabilities, and probabilities to one number.
use candle_core::{DType, Tensor};
use serde::Deserialize;

use super::{AnswerLogits, JudgeError, JudgeSettings, ScoreWarning};
use crate::pipelines::questions::{Answer, Question, QuestionKind};

/// How edit success and preservation become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Their product: neither can make up for the other. Sums are known to be gamed (FIRM, arXiv 2603.12247).
    #[default]
    Product,
    /// Their mean.
    Mean,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub question: Question,
    pub yes_logit: f64,
    pub no_logit: f64,
    /// What the margin was divided by.
    pub temperature: f64,
    /// `sigmoid((yes_logit - no_logit) / temperature)`
    pub p_yes: f64,
    /// Probability of the expected answer.
    pub p_correct: f64,
}

/// What a judge makes of one edit; every number but the logits is in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub verdicts: Vec<Verdict>,
    /// Probability that the instruction was carried out.
    pub edit_success: f64,
    /// Probability that the rest is as it was.
    pub preservation: f64,
    /// Of the two; a caller's own questions do not change it.
    pub overall: f64,
    pub warnings: Vec<ScoreWarning>,
}

pub(super) fn score(
    questions: Vec<Question>,
    logits: &AnswerLogits,
    settings: &JudgeSettings,
    warnings: Vec<ScoreWarning>,
) -> Result<Score, JudgeError> {
    let (yes, no) = (values(&logits.yes)?, values(&logits.no)?);
    let verdicts: Vec<_> = questions
        .into_iter()
        .zip(yes.into_iter().zip(no))
        .map(|(question, (yes_logit, no_logit))| {
            let temperature = settings.temperatures.of(question.kind);
            let p_yes = sigmoid((yes_logit - no_logit) / temperature);
            Verdict {
                p_correct: match question.expected {
                    Answer::Yes => p_yes,
                    Answer::No => sigmoid((no_logit - yes_logit) / temperature),
                },
                question,
                yes_logit,
                no_logit,
                temperature,
                p_yes,
            }
        })
        .collect();
    if !verdicts.iter().all(|verdict| verdict.p_yes.is_finite()) {
        return Err(JudgeError::NotFinite);
    }
    let of = |kind| {
        let mut verdicts = verdicts.iter();
        let verdict = verdicts.find(|verdict| verdict.question.kind == kind);
        verdict.map_or(1.0, |verdict| verdict.p_correct)
    };
    let (edit_success, preservation) = (of(QuestionKind::Edit), of(QuestionKind::Preservation));
    Ok(Score {
        edit_success,
        preservation,
        overall: match settings.overall {
            Overall::Product => edit_success * preservation,
            Overall::Mean => (edit_success + preservation) / 2.0,
        },
        verdicts,
        warnings,
    })
}

fn values(logits: &Tensor) -> Result<Vec<f64>, JudgeError> {
    Ok(logits.to_dtype(DType::F64)?.to_vec1()?)
}

/// `1 / (1 + e^-x)`
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
