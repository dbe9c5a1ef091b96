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
