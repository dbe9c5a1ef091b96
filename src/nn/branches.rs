//! Attention inside several texts that start alike, as one node of the graph.
use std::ops::Range;

use candle_core::{Device, Result, Tensor};

use super::{
    KeyMask, device,
    graft::graft_with_value,
    kernels::{
        attention::{Attended, attend, attend_backward},
        host::is_host_float,
    },
};

/// Causal attention inside each text: `shared` tokens that all of them start with, then the rest of each up to its end.
///
/// `q` `[B, N, H, D]`, `k` and `v` `[B, N, G, D]`, of all tokens; the answer is shaped as `q`.
///
/// # Errors
/// Shapes that do not fit each other.
pub fn attention_in_branches(
    [q, k, v]: [&Tensor; 3],
    shared: usize,
    ends: &[usize],
) -> Result<Tensor> {
    let runs = runs(shared, ends);
    if !is_host_float(q) {
        let seen = earlier_in_branch(shared, &runs, q.device())?;
        return device::attention::attention([q, k, v], Some(&seen));
    }
    let attended = runs.iter().map(|own| Part::attend([q, k, v], shared, own));
    let (parts, values): (Vec<_>, Vec<_>) =
        attended.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let value = Tensor::cat(&values, 1)?;
    graft_with_value([q, k, v], value, move |_, [value, grad]| {
        let mut grads: [Vec<Tensor>; 3] = Default::default();
        for part in &parts {
            let [of_q, of_k, of_v] = part.gradients(value, grad)?;
            grads[0].push(of_q);
            for (all, part_grad) in grads[1..].iter_mut().zip([of_k, of_v]) {
                let before = part.shared(shared);
                if before > 0 {
                    // every text adds to what they share
                    let start = (&all[0] + part_grad.narrow(1, 0, before)?)?;
                    all[0] = start;
                }
                all.push(part_grad.narrow(1, before, part.own.len())?.contiguous()?);
            }
        }
        let [q, k, v] = grads.map(|parts| Tensor::cat(&parts, 1));
        Ok([Some(q?), Some(k?), Some(v?)])
    })
}

/// The common start, where there is one, and what each text has beyond it.
fn runs(shared: usize, ends: &[usize]) -> Vec<Range<usize>> {
    let start = (shared > 0).then_some(0..shared);
    let starts = [shared].into_iter().chain(ends.iter().copied());
    let own = starts.zip(ends).map(|(start, end)| start..*end);
    start.into_iter().chain(own).collect()
}

/// `[N, N]`, one where a token sees another: those before it in its own text, and itself.
fn earlier_in_branch(shared: usize, runs: &[Range<usize>], device: &Device) -> Result<Tensor> {
    let tokens = runs.last().map_or(0, |run| run.end);
    let mut seen = vec![0u8; tokens * tokens];
    for run in runs {
        for at in run.clone() {
            let row = &mut seen[at * tokens..][..tokens];
            row[..shared.min(at + 1)].fill(1);
            row[run.start..=at].fill(1);
        }
    }
    Tensor::from_vec(seen, (tokens, tokens), device)
}

/// Some of the tokens.
fn of(x: &Tensor, own: &Range<usize>) -> Result<Tensor> {
    x.narrow(1, own.start, own.len())
}

/// The tokens that those of `own` may see: their own text from its start.
fn seen(x: &Tensor, shared: usize, own: &Range<usize>) -> Result<Tensor> {
    let tokens = of(x, own)?;
    if own.start == 0 || shared == 0 {
        return Ok(tokens);
    }
    Tensor::cat(&[&x.narrow(1, 0, shared)?, &tokens], 1)
}

/// One run of tokens, outside the graph.
struct Part {
    own: Range<usize>,
    inputs: [Tensor; 3],
    log_sums: Tensor,
}

impl Part {
    /// With what is attended to.
    fn attend(inputs: [&Tensor; 3], shared: usize, own: &Range<usize>) -> Result<(Self, Tensor)> {
        let [q, k, v] = inputs.map(Tensor::detach);
        let inputs = [of(&q, own)?, seen(&k, shared, own)?, seen(&v, shared, own)?];
        let [q, k, v] = &inputs;
        let Attended { value, log_sums } = attend(q, k, v, &KeyMask::Causal)?;
        let part = Self {
            own: own.clone(),
            inputs,
            log_sums,
        };
        Ok((part, value))
    }

    /// Tokens before its own ones.
    fn shared(&self, shared: usize) -> usize {
        if self.own.start == 0 { 0 } else { shared }
    }

    fn gradients(&self, value: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let grad = of(grad, &self.own)?.contiguous()?;
        let attended = Attended {
            value: of(&value.detach(), &self.own)?.contiguous()?,
            log_sums: self.log_sums.clone(),
        };
        attend_backward(&self.inputs, &KeyMask::Causal, &attended, &grad)
    }
}
