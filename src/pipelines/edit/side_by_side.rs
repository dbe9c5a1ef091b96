//! The generator on parts of a batch side by side: the same bits, since no picture of a batch touches another.
use candle_core::{Result, Tensor};

use crate::{
    nn::Lanes,
    pipelines::velocity::{EditConditioning, Generator, PreparedEdit, VelocityModel},
};

/// A generator that takes its batch in parts, one a lane.
pub(super) struct SideBySide<'a> {
    pub generator: &'a Generator,
    pub lanes: &'a Lanes,
}

/// Pictures of a batch.
#[derive(Clone, Copy)]
pub(super) struct Range {
    from: usize,
    count: usize,
}

impl Range {
    fn of(self, batch: &Tensor) -> Result<Tensor> {
        batch.narrow(0, self.from, self.count)
    }
}

impl VelocityModel for SideBySide<'_> {
    type Conditioning = Vec<EditConditioning>;
    type Prepared = Vec<(Range, PreparedEdit)>;

    fn prepare(
        &self,
        latents: &Tensor,
        conditioning: &Vec<EditConditioning>,
    ) -> Result<Self::Prepared> {
        let mut from = 0;
        let mut work = Vec::with_capacity(conditioning.len());
        for part in conditioning {
            let count = part.reference.dim(0)?;
            let range = Range { from, count };
            from += count;
            work.push(move || {
                let prepared = self.generator.prepare(&range.of(latents)?, part)?;
                Ok((range, prepared))
            });
        }
        self.lanes.run(work, || {}).into_iter().collect()
    }

    fn velocity(
        &self,
        latents: &Tensor,
        sigma: &Tensor,
        prepared: &Self::Prepared,
    ) -> Result<Tensor> {
        let of_part = &|(range, prepared): &(Range, PreparedEdit)| {
            let (latents, sigma) = (range.of(latents)?, range.of(sigma)?);
            self.generator.velocity(&latents, &sigma, prepared)
        };
        let work = prepared.iter().map(|part| move || of_part(part)).collect();
        let parts: Result<Vec<_>> = self.lanes.run(work, || {}).into_iter().collect();
        Tensor::cat(&parts?, 0)
    }
}
