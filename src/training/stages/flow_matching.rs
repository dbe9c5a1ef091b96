//! Flow matching: a teacher's own training, and the editor's with the reference as condition (the warm-up, and the
//! supervised baseline).
use candle_core::Tensor;

use super::{Outcome, Stage, Step};
use crate::{
    models::zimage::Captions,
    pipelines::noise::{Grid, NoiseDraw},
    training::{
        checkpoint::State,
        conditioning::Conditioner,
        draws::Purpose,
        error::TrainingResult,
        instruction_set::Row,
        lanes::Lanes,
        losses::flow::{logit_normal, losses, noised},
        optimiser::Parameters,
        order::{Order, Pick},
        recipe::{Batch, Flow},
        tuning::Tuned,
    },
};

/// What is to be made, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The row's picture, from its own caption alone.
    Picture,
    /// The reference itself, from its own caption (paper, warm-up).
    Reference,
    /// The edited picture of the row, from the instruction.
    Edited,
}

/// The stage between two steps.
pub struct FlowMatching<'a> {
    pub generator: Tuned,
    pub target: Target,
    pub batch: Batch,
    pub lanes: Lanes,
    pub flow: Flow,
    pub rows: Vec<Row>,
    pub order: Order,
    pub conditioner: Conditioner<'a>,
}

/// One item, encoded.
struct Item {
    /// Place in the batch, from 0.
    place: usize,
    /// `[1, C, h, w]`
    reference: Tensor,
    /// `[1, C, h, w]`
    target: Tensor,
    /// `[1, L, D]`
    text: Tensor,
}

impl Target {
    /// What says what is to be made.
    fn text(self, row: &Row) -> &str {
        match self {
            Self::Reference | Self::Picture => row.source_caption.as_deref().unwrap_or_default(),
            Self::Edited => &row.instruction,
        }
    }
}

impl FlowMatching<'_> {
    fn row(&self, position: u64) -> usize {
        let (Pick::Edit(row) | Pick::Nothing(row) | Pick::Replay(row)) = self.order.at(position);
        row
    }

    fn item(&mut self, place: usize, position: u64, dropped: bool) -> TrainingResult<Item> {
        let row = &self.rows[self.row(position)];
        let reference = self.conditioner.picture(&row.image)?;
        let target = match self.target {
            Target::Reference | Target::Picture => reference.latents.clone(),
            Target::Edited => {
                let edited = row.edited.as_ref().unwrap_or(&row.image);
                self.conditioner.picture_like(edited, &reference)?.latents
            }
        };
        let text = if dropped { "" } else { self.target.text(row) };
        Ok(Item {
            place,
            reference: reference.latents,
            target,
            text: self.conditioner.text(text)?,
        })
    }

    /// Items of one pass share grid and padded text length.
    fn passes(&mut self, step: &Step) -> TrainingResult<Vec<Vec<Item>>> {
        let first = step.index * self.rows_per_step();
        let dropout = step.draws.uniform(Purpose::Dropout, self.batch.size);
        let rows =
            (0..self.batch.size as u64).map(|place| self.rows[self.row(first + place)].clone());
        let rows: Vec<Row> = rows.collect();
        let texts = rows.iter().map(|row| self.target.text(row));
        let pictures = rows.iter().map(|row| row.image.as_path());
        self.conditioner.prepare(pictures, texts.chain([""]))?;
        let mut passes: Vec<(Vec<usize>, Vec<Item>)> = Vec::new();
        for (place, drop) in dropout.into_iter().enumerate() {
            let dropped = drop < self.flow.text_dropout;
            let item = self.item(place, first + place as u64, dropped)?;
            let padded = Captions::padded_len(item.text.dim(1)?);
            let key = [item.reference.dims(), item.target.dims(), &[padded]].concat();
            let micro = self.batch.micro;
            match passes
                .iter_mut()
                .find(|(other, items)| *other == key && items.len() < micro)
            {
                Some((_, items)) => items.push(item),
                None => passes.push((key, vec![item])),
            }
        }
        Ok(passes.into_iter().map(|(_, items)| items).collect())
    }

    fn pass(&self, items: &[Item], step: &Step) -> TrainingResult<Outcome> {
        let all = self.batch.size;
        let gather = |of: fn(&Item) -> &Tensor| -> Vec<Tensor> {
            items.iter().map(|item| of(item).clone()).collect()
        };
        let reference = Tensor::cat(&gather(|item| &item.reference), 0)?;
        let target = Tensor::cat(&gather(|item| &item.target), 0)?;
        let texts = Captions::new(&gather(|item| &item.text))?;
        let of_items = |values: Vec<f64>| {
            items
                .iter()
                .map(|item| values[item.place])
                .collect::<Vec<_>>()
        };
        let shift = self.flow.shift;
        let levels = of_items(step.draws.uniform(Purpose::FlowSigma, all));
        let levels: Vec<f64> = levels
            .iter()
            .map(|u| shift * u / (1.0 + (shift - 1.0) * u))
            .collect();
        let seeds = step.draws.seeds(Purpose::FlowNoise, all);
        let seeds: Vec<u64> = items.iter().map(|item| seeds[item.place]).collect();
        let (_, channels, height, width) = target.dims4()?;
        let grid = Grid {
            channels,
            height,
            width,
        };
        let noise = NoiseDraw::from_seeds(&seeds, 0, grid, target.device())?.initial;
        let column =
            |values: &[f64]| Tensor::new(values, target.device())?.to_dtype(target.dtype());
        let sigma = column(&levels)?;
        let noisy = noised(&target, &noise, &sigma)?;
        let model = &self.generator.tracked;
        let velocity = match self.target {
            Target::Picture => model.velocity(&noisy, &sigma, &texts)?,
            Target::Reference | Target::Edited => {
                model.velocity_with_reference(&noisy, &reference, &sigma, &texts)?
            }
        };
        let mut losses = losses(&velocity, &target, &noise)?;
        if self.flow.logit_normal_weight {
            let weights: Vec<f64> = levels.iter().map(|level| weight(*level)).collect();
            losses = (losses * column(&weights)?)?;
        }
        let mut grads = (losses.sum_all()? / all as f64)?.backward()?;
        let mut outcome = Outcome {
            gradients: self.generator.gradients(&mut grads),
            ..Outcome::default()
        };
        for loss in losses.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()? {
            outcome.loss += loss / all as f64;
            outcome.terms.add("flow", loss);
        }
        Ok(outcome)
    }
}

/// [`logit_normal`], with its limit 0 at both ends.
fn weight(level: f64) -> f64 {
    if level > 0.0 && level < 1.0 {
        logit_normal(level)
    } else {
        0.0
    }
}

impl Stage for FlowMatching<'_> {
    fn parameters(&self) -> &Parameters {
        &self.generator.parameters
    }

    fn rows_per_step(&self) -> u64 {
        self.batch.size as u64
    }

    fn step(&mut self, step: &mut Step) -> TrainingResult<Outcome> {
        let mut outcome = Outcome::default();
        let passes = self.passes(step)?;
        let pass = |items: &Vec<Item>, step: &mut Step| self.pass(items, step);
        self.lanes
            .run(&passes, step, pass, |part| outcome.add(part))?;
        Ok(outcome)
    }

    fn save(&self, _: &mut State) {}

    fn restore(&mut self, _: &State) -> TrainingResult<()> {
        Ok(())
    }
}
