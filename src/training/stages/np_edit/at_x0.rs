//! The losses, and their gradient by x0: everything behind it is freed before the unrolled steps go backward.
use candle_core::{D, Tensor, Var};

use super::{
    NpEdit, Step,
    batch::{Item, MicroBatch, Role},
    columns::{column, in_double, noise_like, scalar},
    repeated, run, unmasked,
};
use crate::{
    pipelines::velocity::Generator,
    training::{
        draws::Purpose,
        error::TrainingResult,
        losses::{
            dmd::{CleanPredictions, direction},
            flow::noised,
        },
        terms::Terms,
        unroll::Unroll,
    },
};

/// Levels at which the scores are compared: neither clean nor noise alone (DMD2, arXiv 2405.14867).
const SIGMAS: [f64; 2] = [0.02, 0.98];

/// What the items of a pass lose.
pub(super) struct AtX0 {
    /// d loss / d x0, `[B, C, h, w]`
    pub gradient: Tensor,
    /// The items' share of the batch's loss.
    pub loss: f64,
    pub terms: Terms,
}

/// One term of some items: gradients by their x0 and values, unweighted.
struct Term {
    /// `[B, C, h, w]`
    gradient: Tensor,
    values: Vec<f64>,
}

impl NpEdit<'_> {
    /// `x0` `[B, C, h, w]` records nothing.
    pub(super) fn at_x0(
        &self,
        x0: &Tensor,
        batch: &MicroBatch,
        path: &Unroll,
        step: &mut Step,
    ) -> TrainingResult<AtX0> {
        let share = 1.0 / self.settings.batch as f64;
        let weights = &self.settings.weights;
        let mut at = AtX0 {
            gradient: x0.zeros_like()?,
            loss: 0.0,
            terms: Terms::default(),
        };
        if batch.replayed() {
            let anchored = self.anchored(x0, batch, path)?;
            at.add("anchor", weights.anchor * share, &anchored)?;
            return Ok(at);
        }
        if weights.dmd > 0.0 {
            at.add(
                "dmd",
                weights.dmd * share,
                &self.distribution(x0, batch, step)?,
            )?;
        }
        let mut gradients = Vec::new();
        let mut done = 0;
        for items in batch.judged_together(self.settings.judged) {
            step.turn()?;
            let some = x0.narrow(0, done, items.len())?;
            let (gradient, loss) = self.of_items(&some, items, step, &mut at.terms)?;
            gradients.push((gradient * share)?);
            at.loss += loss * share;
            done += items.len();
        }
        at.gradient = (at.gradient + Tensor::cat(&gradients, 0)?)?;
        Ok(at)
    }

    /// x0 against what the base makes of the same noise.
    fn anchored(&self, x0: &Tensor, batch: &MicroBatch, path: &Unroll) -> TrainingResult<Term> {
        let base: &Generator = &self.conditioner.bundle().generator;
        let target = run(path, base, &batch.conditioning)?;
        squared(x0, &target)
    }

    /// Distribution matching at a level of each item's own.
    fn distribution(&self, x0: &Tensor, batch: &MicroBatch, step: &Step) -> TrainingResult<Term> {
        let all = self.settings.batch;
        let sigmas = batch.of_items(&step.draws.uniform(Purpose::DmdSigma, all));
        let [least, most] = SIGMAS;
        let sigmas = sigmas.iter().map(|u| least + (most - least) * u);
        let levels = column(sigmas, x0)?;
        let sigma = levels.flatten_all()?;
        let seeds = batch.of_items(&step.draws.seeds(Purpose::DmdNoise, all));
        let noisy = noised(x0, &noise_like(x0, &seeds)?, &sigma)?;
        let (teacher, count) = (unmasked(self.frozen.teacher), batch.items.len());
        let conditional = teacher.velocity(&noisy, &sigma, &batch.captions)?;
        let negative = teacher.velocity(&noisy, &sigma, &repeated(&self.negative, count)?)?;
        let scales = batch
            .items
            .iter()
            .map(|item| self.settings.guidance.of(item.edit.edit_type));
        let scales = column(scales, x0)?;
        let real = (&negative + (conditional - &negative)?.broadcast_mul(&scales)?)?;
        let fake = self.fake_score.velocity(&noisy, &sigma, &batch.captions)?;
        let predicted = |velocity: &Tensor| noisy.sub(&velocity.broadcast_mul(&levels)?);
        let predictions = CleanPredictions {
            real: predicted(&real)?,
            fake: predicted(&fake)?,
        };
        let direction = direction(x0, &predictions, self.settings.normaliser)?;
        let values = (direction.sqr()?.flatten_from(1)?.mean(D::Minus1)? * 0.5)?;
        Ok(Term {
            gradient: (&direction / per_item(x0))?,
            values: in_double(&values)?,
        })
    }

    /// What judge, "do nothing." and consistency make of items of one role and their x0 `[items, C, h, w]`: weighted gradient
    /// and loss, sums over the items.
    fn of_items(
        &self,
        x0: &Tensor,
        items: &[Item],
        step: &Step,
        terms: &mut Terms,
    ) -> TrainingResult<(Tensor, f64)> {
        let weights = &self.settings.weights;
        let leaf = Var::from_tensor(x0)?;
        let gather = |of: fn(&Item) -> &Tensor| {
            let all: Vec<&Tensor> = items.iter().map(of).collect();
            Tensor::cat(&all, 0)
        };
        let mut losses = Vec::new();
        if items.iter().all(|item| item.role == Role::Nothing) {
            let apart = (leaf.as_tensor() - gather(|item| &item.reference.latents)?)?;
            losses.push(("do_nothing", weights.do_nothing, mean_square(&apart)?));
        }
        if weights.judge > 0.0 || weights.pixel > 0.0 || self.frozen.lpips.is_some() {
            let pixels = self.conditioner.bundle().vae.decode(leaf.as_tensor())?;
            if weights.judge > 0.0 {
                let judged = self.judged(&pixels, items, step.index, terms)?;
                losses.push(("judge", weights.judge, judged));
            }
            if weights.pixel > 0.0 {
                let apart = (&pixels - gather(|item| &item.reference.pixels)?)?;
                losses.push(("pixel", weights.pixel, mean_square(&apart)?));
            }
            if let Some(lpips) = self.frozen.lpips {
                let apart = lpips.distances(&pixels, &gather(|item| &item.reference.pixels)?)?;
                losses.push(("lpips", weights.lpips, apart));
            }
        }
        let mut total: Option<Tensor> = None;
        for (name, weight, loss) in losses {
            for value in in_double(&loss.detach())? {
                terms.add(name, value);
            }
            let weighted = (loss.sum_all()?.to_dtype(leaf.dtype())? * weight)?;
            total = Some(match total {
                Some(total) => (total + weighted)?,
                None => weighted,
            });
        }
        let Some(total) = total else {
            return Ok((x0.zeros_like()?, 0.0));
        };
        let mut grads = total.backward()?;
        let gradient = grads.remove(leaf.as_tensor());
        let gradient = match gradient {
            Some(gradient) => gradient,
            None => x0.zeros_like()?,
        };
        Ok((gradient, scalar(&total)?))
    }
}

/// Of each item of `[B, ..]`, `[B]`.
fn mean_square(x: &Tensor) -> candle_core::Result<Tensor> {
    x.sqr()?.flatten_from(1)?.mean(D::Minus1)
}

impl AtX0 {
    fn add(&mut self, name: &'static str, weight: f64, term: &Term) -> TrainingResult<()> {
        self.gradient = (&self.gradient + (&term.gradient * weight)?)?;
        for value in &term.values {
            self.terms.add(name, *value);
            self.loss += weight * value;
        }
        Ok(())
    }
}

/// Mean squared error of each item.
fn squared(x0: &Tensor, target: &Tensor) -> TrainingResult<Term> {
    let apart = (x0 - target.detach())?;
    let values = apart.sqr()?.flatten_from(1)?.mean(D::Minus1)?;
    Ok(Term {
        gradient: (apart * (2.0 / per_item(x0)))?,
        values: in_double(&values)?,
    })
}

fn per_item(x0: &Tensor) -> f64 {
    (x0.elem_count() / x0.dims()[0].max(1)) as f64
}
