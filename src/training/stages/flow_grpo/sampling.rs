//! Edits of a batch, and how good the judge says they are.
use candle_core::{DType, Tensor};

use super::{
    FlowGrpo,
    drawn::Drawn,
    passes::{Pass, velocity},
};
use crate::{
    models::vlm::{Picture, Rounding},
    pipelines::{
        judge::{Overall, Pair, unit},
        noise::NoiseDraw,
        questions::QuestionKind,
        sampler::predict_x0,
        velocity::{Generator, VelocityModel},
    },
    training::{
        draws::Purpose,
        error::TrainingResult,
        losses::{
            grpo::{advantages, spread},
            judge::right_answer,
        },
        stages::Step,
        terms::Terms,
    },
};

impl FlowGrpo<'_> {
    /// Samples every pass and has the judge say how good each sample is.
    pub(super) fn draw(
        &self,
        passes: &[Pass],
        step: &mut Step,
        terms: &mut Terms,
    ) -> TrainingResult<Vec<Drawn>> {
        let sampled = |pass: &Pass, step: &mut Step| {
            let (mut rewards, mut terms) = (Vec::new(), Terms::default());
            // 1 sample      noise -> latents of every level -> x0
            let (paths, x0) = self.path(pass, step)?;
            // 2 reward      x0 -> pixels -> the judge's probabilities
            for index in 0..pass.samples.len() {
                step.turn()?;
                let x0 = x0.narrow(0, index, 1)?;
                rewards.push(self.reward(&x0, pass, index, &mut terms)?);
            }
            Ok((paths, rewards, terms))
        };
        let mut drawn = Vec::with_capacity(passes.len());
        let mut rewards = vec![0.0; self.batch.size * self.grpo.group];
        self.lanes
            .run(passes, step, sampled, |(paths, of_pass, of_terms)| {
                for (sample, reward) in passes[drawn.len()].samples.iter().zip(of_pass) {
                    rewards[sample.place] = reward;
                }
                drawn.push(paths);
                terms.merge(of_terms);
                Ok(())
            })?;
        // 3 advantage   rewards of a group -> how far above their mean
        let mut all = Vec::with_capacity(rewards.len());
        for group in rewards.chunks(self.grpo.group) {
            terms.add("reward_spread", spread(group));
            all.extend(advantages(group));
        }
        for (pass, drawn) in passes.iter().zip(&mut drawn) {
            drawn.advantages = pass.of_samples(&all);
        }
        Ok(drawn)
    }

    /// Draws every level but the last one, which follows the velocity, and x0 `[B, C, h, w]`.
    fn path(&self, pass: &Pass, step: &Step) -> TrainingResult<(Drawn, Tensor)> {
        let model = Generator(self.generator.frozen.clone());
        let all = step
            .draws
            .seeds(Purpose::Path, self.batch.size * self.grpo.group);
        let device = pass.conditioning.reference.device();
        let seeds = pass.of_samples(&all);
        let noise = NoiseDraw::from_seeds(&seeds, self.draws.len(), pass.grid()?, device)?;
        let prepared = model.prepare(&noise.initial, &pass.conditioning)?;
        let (mut latents, mut log_probs) = (vec![noise.initial.clone()], Vec::new());
        let mut now = noise.initial;
        for (draw, fresh) in self.draws.iter().zip(&noise.steps) {
            let velocity = velocity((&model, &prepared), &now, draw.sigma)?;
            let mean = draw.mean(&now, &velocity)?;
            now = draw.draw(&mean, fresh)?;
            log_probs.push(draw.log_probs(&now, &mean)?);
            latents.push(now.clone());
        }
        let velocity = velocity((&model, &prepared), &now, self.last)?;
        let drawn = Drawn {
            latents,
            log_probs,
            advantages: Vec::new(),
        };
        Ok((drawn, predict_x0(&now, &velocity, self.last)?))
    }

    /// What the judge makes of one sample's x0 `[1, C, h, w]`, as it is served.
    fn reward(
        &self,
        x0: &Tensor,
        pass: &Pass,
        index: usize,
        terms: &mut Terms,
    ) -> TrainingResult<f64> {
        let sample = &pass.samples[index];
        let picture = |pixels: &Tensor| -> candle_core::Result<Picture> {
            Ok(Picture {
                pixels: unit(pixels)?.squeeze(0)?,
                rounding: Rounding::Exact,
            })
        };
        let pair = Pair {
            reference: picture(&sample.reference.pixels)?,
            edited: picture(&self.conditioner.bundle().vae.decode(x0)?)?,
        };
        let mut questions = self.judge.settings().questions.about(&sample.edit);
        questions.retain(|question| question.kind != QuestionKind::Custom);
        let margins = self.judge.ask(&pair, &questions)?.margin()?;
        let margins = margins.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        terms.asked(questions.len());
        let answers = questions.iter().zip(margins);
        let answers: Vec<_> = answers
            .map(|(question, margin)| right_answer(question, margin))
            .collect();
        for (name, probability) in &answers {
            terms.add(name, *probability);
        }
        let probabilities = answers.iter().map(|(_, probability)| probability);
        let reward = match self.grpo.reward {
            Overall::Product => probabilities.product(),
            Overall::Mean => probabilities.sum::<f64>() / answers.len().max(1) as f64,
        };
        terms.add("reward", reward);
        Ok(reward)
    }
}
