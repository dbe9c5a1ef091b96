//! Rows to passes: every row once for each sample of its group; what shares a grid and a padded text length runs together.
use candle_core::{DType, Result, Tensor};

use super::FlowGrpo;
use crate::{
    models::zimage::Captions,
    pipelines::{
        noise::Grid,
        questions::EditDescription,
        velocity::{EditConditioning, VelocityModel},
    },
    training::{conditioning::Encoded, error::TrainingResult, order::Pick},
};

/// One of the edits of one row.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Place in the batch, from 0; a group is in one piece.
    pub place: usize,
    pub reference: Encoded,
    /// `[1, L, D]`
    instruction: Tensor,
    pub edit: EditDescription,
}

/// Samples that run together.
pub(super) struct Pass {
    pub samples: Vec<Sample>,
    pub conditioning: EditConditioning,
}

impl Pass {
    fn new(samples: Vec<Sample>) -> TrainingResult<Self> {
        let gather = |of: fn(&Sample) -> &Tensor| -> Vec<Tensor> {
            samples.iter().map(|sample| of(sample).clone()).collect()
        };
        Ok(Self {
            conditioning: EditConditioning {
                reference: Tensor::cat(&gather(|sample| &sample.reference.latents), 0)?,
                instruction: Captions::new(&gather(|sample| &sample.instruction))?,
            },
            samples,
        })
    }

    /// What belongs to these samples of a list with one value for each sample of the batch.
    pub(super) fn of_samples<T: Copy>(&self, all: &[T]) -> Vec<T> {
        let picked = self
            .samples
            .iter()
            .filter_map(|sample| all.get(sample.place));
        picked.copied().collect()
    }

    /// Latent shape of every sample.
    pub(super) fn grid(&self) -> Result<Grid> {
        let (_, channels, height, width) = self.conditioning.reference.dims4()?;
        Ok(Grid {
            channels,
            height,
            width,
        })
    }
}

/// What a prepared model says of `latents` `[B, C, h, w]` at `sigma`, in single precision.
pub(super) fn velocity<M: VelocityModel>(
    (model, prepared): (&M, &M::Prepared),
    latents: &Tensor,
    sigma: f64,
) -> Result<Tensor> {
    let sigma = Tensor::full(sigma as f32, latents.dim(0)?, latents.device())?;
    model
        .velocity(latents, &sigma, prepared)?
        .to_dtype(DType::F32)
}

impl FlowGrpo<'_> {
    /// The samples of the batch with this number.
    pub(super) fn passes(&mut self, batch: u64) -> TrainingResult<Vec<Pass>> {
        let (size, group) = (self.batch.size, self.grpo.group);
        let mut passes: Vec<(Vec<usize>, Vec<Sample>)> = Vec::new();
        for row in 0..size {
            let position = batch * size as u64 + row as u64;
            let (Pick::Edit(of) | Pick::Nothing(of) | Pick::Replay(of)) =
                self.rows.order.at(position);
            let of = &self.rows.rows[of];
            let first = Sample {
                place: row * group,
                reference: self.conditioner.picture(&of.image)?,
                instruction: self.conditioner.text(&of.instruction)?,
                edit: of.description(),
            };
            let padded = Captions::padded_len(first.instruction.dim(1)?);
            let key = [first.reference.latents.dims(), &[padded]].concat();
            for place in row * group..(row + 1) * group {
                let sample = Sample {
                    place,
                    ..first.clone()
                };
                let open = passes
                    .iter_mut()
                    .find(|(other, samples)| *other == key && samples.len() < self.batch.micro);
                match open {
                    Some((_, samples)) => samples.push(sample),
                    None => passes.push((key.clone(), vec![sample])),
                }
            }
        }
        let passes = passes.into_iter();
        passes.map(|(_, samples)| Pass::new(samples)).collect()
    }
}
