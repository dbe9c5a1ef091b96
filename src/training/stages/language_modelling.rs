//! The text encoder of the tiny bundle: learns to foretell the next word of captions and instructions.
use candle_core::{D, DType, Device, Result, Tensor};

use super::{Outcome, Stage, Step};
use crate::{
    models::qwen3::{ChatTokenizer, LanguageModel, Thinking},
    pipelines::text::TextError,
    training::{
        checkpoint::State,
        error::TrainingResult,
        optimiser::{Parameters, gradients_of},
    },
    world::{Edit, EditMix, SceneRng, Telling},
};

/// The stage between two steps.
pub struct LanguageModelling {
    pub model: LanguageModel,
    pub tokenizer: ChatTokenizer,
    pub parameters: Parameters,
    /// Texts of a step.
    pub batch: usize,
    pub seed: u64,
}

/// Texts of one length, and which of their tokens are foretold.
struct Texts {
    /// One text after the other.
    ids: Vec<u32>,
    /// What follows each token; any id where nothing does.
    next: Vec<u32>,
    /// 1 where something follows, else 0.
    counts: Vec<f32>,
}

impl LanguageModelling {
    /// A caption, an instruction, or an edit told from its beginning to its end.
    fn text(&self, position: u64) -> String {
        let mut rng = SceneRng::new(self.seed, position);
        let edit = Edit::draw(&EditMix::all(), &mut rng);
        match position % 3 {
            0 => edit.before.caption(&Telling::draw(&mut rng)),
            1 => edit.instruction,
            _ => [
                edit.source_caption,
                edit.instruction,
                edit.after.caption(&Telling::draw(&mut rng)),
            ]
            .join(" "),
        }
    }

    fn texts(&self, position: u64) -> TrainingResult<Texts> {
        let mut all = Vec::with_capacity(self.batch);
        for index in 0..self.batch as u64 {
            let text = self.text(position + index);
            let templated = self
                .tokenizer
                .template(&text, Thinking::EmptyBlock)
                .map_err(TextError::from)?;
            let tokens = self.tokenizer.encode(&templated);
            all.push(tokens.map_err(TextError::from)?.ids);
        }
        let longest = all.iter().map(Vec::len).max().unwrap_or(0);
        let mut texts = Texts {
            ids: Vec::new(),
            next: Vec::new(),
            counts: Vec::new(),
        };
        for ids in &all {
            // what stands behind a text is not seen from inside it
            let padded = |from: usize| ids[from..].iter().copied().chain([0].into_iter().cycle());
            texts.ids.extend(padded(0).take(longest));
            texts.next.extend(padded(1).take(longest));
            let counts = (0..longest).map(|at| f32::from(u8::from(at + 1 < ids.len())));
            texts.counts.extend(counts);
        }
        Ok(texts)
    }

    /// Mean cross-entropy of the words that follow, and the share of those that were foretold.
    fn loss(&self, texts: &Texts) -> Result<(Tensor, f64)> {
        let logits = self.model.logits(&texts.ids, self.batch)?.flatten_to(1)?;
        let device = logits.device().clone();
        let wanted = Tensor::new(texts.next.as_slice(), &device)?;
        let chosen = logits.gather(&wanted.unsqueeze(1)?, 1)?.squeeze(1)?;
        let surprise = (logits.log_sum_exp(D::Minus1)? - chosen)?;
        let counts = Tensor::new(texts.counts.as_slice(), &device)?;
        let total: f32 = texts.counts.iter().sum();
        let right = logits.detach().argmax(D::Minus1)?.eq(&wanted)?;
        let right = (right.to_dtype(DType::F32)? * &counts)?.sum_all()?;
        let right: f32 = right.to_device(&Device::Cpu)?.to_scalar()?;
        let loss = ((surprise * counts)?.sum_all()? / f64::from(total))?;
        Ok((loss, f64::from(right / total)))
    }
}

impl Stage for LanguageModelling {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn rows_per_step(&self) -> u64 {
        self.batch as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        let texts = self.texts(step.index * self.rows_per_step())?;
        let (loss, foretold) = self.loss(&texts)?;
        let mut grads = loss.backward()?;
        let mut outcome = Outcome {
            gradients: gradients_of(&self.parameters, &mut grads),
            loss: loss.to_dtype(DType::F64)?.to_scalar()?,
            ..Outcome::default()
        };
        outcome.terms.add("foretold", foretold);
        Ok(outcome)
    }

    fn save(&self, _: &mut State) {}

    fn restore(&mut self, _: &State) -> TrainingResult<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use candle_core::Var;

    use super::*;
    use crate::{
        models::{files::Files, qwen3::Config, weights::Weights},
        nn::Compute,
        training::{
            draws::Draws,
            optimiser::{AdamW, AdamWSettings},
        },
    };

    fn stage(batch: usize) -> LanguageModelling {
        let compute = Compute::cpu();
        let weights = Weights::safetensors(&Files::Embedded, "text_encoder").unwrap();
        let weights = weights.into_tensors("", &compute).unwrap();
        let parameters: Parameters = weights
            .into_iter()
            .map(|(name, tensor)| (name, Var::from_tensor(&tensor).unwrap()))
            .collect();
        let tensors = parameters
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()));
        let tensors = Weights::tensors("test", tensors.collect::<Vec<_>>());
        let config = Config::read(&Files::Embedded).unwrap();
        LanguageModelling {
            model: LanguageModel::load(&config, tensors, &compute).unwrap(),
            tokenizer: ChatTokenizer::load(&Files::Embedded).unwrap(),
            parameters,
            batch,
            seed: 3,
        }
    }

    #[test]
    fn every_token_but_the_first_is_foretold_and_no_padding() {
        let stage = stage(3);
        let texts = stage.texts(0).unwrap();
        let length = texts.ids.len() / 3;
        for text in 0..3 {
            let of_text = text * length..(text + 1) * length;
            let (ids, next) = (&texts.ids[of_text.clone()], &texts.next[of_text.clone()]);
            let counted = texts.counts[of_text].iter().filter(|c| **c == 1.0).count();
            let templated = stage
                .tokenizer
                .template(&stage.text(text as u64), Thinking::EmptyBlock);
            let whole = stage.tokenizer.encode(&templated.unwrap()).unwrap().ids;
            assert_eq!(counted, whole.len() - 1);
            assert_eq!(ids[..whole.len()], whole);
            assert_eq!(next[..counted], whole[1..]);
        }
    }

    #[test]
    fn every_parameter_learns() {
        let mut stage = stage(4);
        let mut optimiser = AdamW::new(AdamWSettings {
            learning_rate: 3e-3,
            ..AdamWSettings::default()
        });
        let mut losses = Vec::new();
        for index in 0..8 {
            let mut step = Step {
                // the same texts again
                index: 0,
                draws: Draws::new(0, index),
                go_on: &mut || ControlFlow::Continue(()),
            };
            let outcome = stage.step(&mut step).unwrap();
            assert_eq!(outcome.gradients.len(), stage.parameters.len());
            optimiser
                .update(&stage.parameters, &outcome.gradients)
                .unwrap();
            losses.push(outcome.loss);
        }
        assert!(losses[7] < 0.8 * losses[0], "{losses:?}");
    }
}
