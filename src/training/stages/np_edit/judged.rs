//! The judge's answers about one item, as a loss.
use candle_core::Tensor;
use serde::Deserialize;

use super::{
    NpEdit,
    batch::{Item, Role},
    columns::in_double,
};
use crate::{
    models::vlm::{Picture, Rounding},
    pipelines::{
        judge::{Pair, unit},
        questions::{Question, QuestionKind},
    },
    training::{
        error::TrainingResult,
        losses::judge::{answer_losses, ramp, right_answer, vocabulary_losses},
        terms::Terms,
    },
};

/// What the right answer is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerLoss {
    /// The other answer.
    #[default]
    Binary,
    /// Every token that the judge knows (the paper's ablation).
    FullVocabulary,
}

impl NpEdit<'_> {
    /// Mean loss of the questions about `pixels` `[1, 3, H, W]`; a scalar.
    pub(super) fn judged(
        &self,
        pixels: &Tensor,
        item: &Item,
        step: u64,
        terms: &mut Terms,
    ) -> TrainingResult<Tensor> {
        let judge = self.frozen.judge;
        let questions = self.questions(item);
        let pair = Pair {
            reference: picture(&item.reference.pixels)?,
            edited: picture(pixels)?,
        };
        let expected: Vec<_> = questions.iter().map(|question| question.expected).collect();
        let temperature = ramp(step, self.settings.ramp_steps);
        let (logits, losses) = match self.settings.answer_loss {
            AnswerLoss::Binary => {
                let logits = judge.ask(&pair, &questions)?;
                let losses = answer_losses(&logits, &expected, temperature)?;
                (logits, losses)
            }
            AnswerLoss::FullVocabulary => {
                let (logits, vocabulary) = judge.ask_openly(&pair, &questions)?;
                let losses = vocabulary_losses(&logits, &vocabulary, &expected, temperature)?;
                (logits, losses)
            }
        };
        terms.asked(questions.len());
        for (question, margin) in questions.iter().zip(in_double(&logits.margin()?.detach())?) {
            let (name, probability) = right_answer(question, margin);
            terms.add(name, probability);
        }
        Ok(losses.mean_all()?)
    }

    fn questions(&self, item: &Item) -> Vec<Question> {
        let mut questions = self.frozen.judge.settings().questions.about(&item.edit);
        questions.retain(|question| match question.kind {
            // nothing was to be done
            QuestionKind::Edit => item.role != Role::Nothing,
            QuestionKind::Preservation => {
                self.settings.identity_question || item.role == Role::Nothing
            }
            QuestionKind::Custom => true,
        });
        questions
    }
}

fn picture(pixels: &Tensor) -> candle_core::Result<Picture> {
    Ok(Picture {
        pixels: unit(pixels)?.squeeze(0)?,
        rounding: Rounding::Exact,
    })
}
