//! The judge's answers about some items, as a loss.
use candle_core::{D, Tensor};
use serde::Deserialize;

use super::{
    NpEdit,
    batch::{Item, Role},
    columns::in_double,
};
use crate::{
    models::vlm::{Picture, Rounding},
    pipelines::{
        judge::{Pair, Pairs, unit},
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
    /// Mean loss of the questions about each of `items` and its `pixels` `[items, 3, H, W]`; `[items]`. As many questions are
    /// asked about each.
    pub(super) fn judged(
        &self,
        pixels: &Tensor,
        items: &[Item],
        step: u64,
        terms: &mut Terms,
    ) -> TrainingResult<Tensor> {
        let judge = self.frozen.judge;
        let questions: Vec<_> = items.iter().map(|item| self.questions(item)).collect();
        let states = self.states(pixels, items, &questions)?;
        let logits = judge.answers(&states)?;
        let asked: Vec<_> = questions.iter().flatten().collect();
        let expected: Vec<_> = asked.iter().map(|question| question.expected).collect();
        let temperature = ramp(step, self.settings.ramp_steps);
        let losses = match self.settings.answer_loss {
            AnswerLoss::Binary => answer_losses(&logits, &expected, temperature)?,
            AnswerLoss::FullVocabulary => {
                let vocabulary = judge.vocabulary(&states)?;
                vocabulary_losses(&logits, &vocabulary, &expected, temperature)?
            }
        };
        terms.asked(asked.len());
        for (question, margin) in asked.iter().zip(in_double(&logits.margin()?.detach())?) {
            let (name, probability) = right_answer(question, margin);
            terms.add(name, probability);
        }
        Ok(losses
            .reshape((items.len(), asked.len() / items.len().max(1)))?
            .mean(D::Minus1)?)
    }

    /// What the judge is about to say to every question, item by item: in one pass where that is possible.
    fn states(
        &self,
        pixels: &Tensor,
        items: &[Item],
        questions: &[Vec<Question>],
    ) -> TrainingResult<Tensor> {
        let judge = self.frozen.judge;
        if items.len() > 1 {
            let references = items.iter().map(|item| unit(&item.reference.pixels));
            let references = references.collect::<candle_core::Result<Vec<_>>>()?;
            let pairs = Pairs {
                references: Tensor::cat(&references, 0)?,
                edited: unit(pixels)?,
            };
            if let Some(states) = judge.states_together(&pairs, questions)? {
                return Ok(states);
            }
        }
        let mut states = Vec::with_capacity(items.len());
        for (at, (item, questions)) in items.iter().zip(questions).enumerate() {
            let pair = Pair {
                reference: picture(&item.reference.pixels)?,
                edited: picture(&pixels.narrow(0, at, 1)?)?,
            };
            states.push(judge.states_of(&pair, questions)?);
        }
        Ok(Tensor::cat(&states, 0)?)
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
