//! Cross-entropy of choices between a few of many logits.
use candle_core::{DType, Device, Result, Tensor, bail};

use super::graft::graft;

/// One choice: which candidate a row of logits should prefer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'a> {
    pub row: usize,
    /// Columns that may be chosen.
    pub candidates: &'a [u32],
    /// The right one of `candidates`, as an index.
    pub right: usize,
}

/// `-ln softmax(logits[row, candidates])[right]` of each choice, `[choices]`, of `logits` `[R, V]`.
///
/// # Errors
/// A choice of a row, column or candidate that is not there.
pub fn choice_losses(logits: &Tensor, choices: &[Choice]) -> Result<Tensor> {
    let (rows, columns) = logits.dims2()?;
    let values = logits
        .detach()
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?;
    let values = values.flatten_all()?.to_vec1::<f64>()?;
    let mut losses = Vec::with_capacity(choices.len());
    // d loss / d logit, at its place in the table
    let mut slopes: Vec<Vec<(usize, f64)>> = Vec::with_capacity(choices.len());
    for choice in choices {
        let known = choice.row < rows && choice.right < choice.candidates.len();
        if !known || choice.candidates.iter().any(|at| *at as usize >= columns) {
            bail!("{choice:?} is no choice among logits {:?}", logits.dims())
        }
        let places = choice.candidates.iter();
        let places: Vec<usize> = places
            .map(|at| choice.row * columns + *at as usize)
            .collect();
        let most = places.iter().map(|at| values[*at]).fold(f64::MIN, f64::max);
        let powers: Vec<f64> = places.iter().map(|at| (values[*at] - most).exp()).collect();
        let total: f64 = powers.iter().sum();
        losses.push(total.ln() + most - values[places[choice.right]]);
        let shares = powers.iter().enumerate().map(|(at, power)| {
            let wanted = if at == choice.right { 1.0 } else { 0.0 };
            power / total - wanted
        });
        slopes.push(places.iter().copied().zip(shares).collect());
    }
    let (device, dtype) = (logits.device().clone(), logits.dtype());
    let losses = Tensor::new(losses, &Device::Cpu)?
        .to_dtype(dtype)?
        .to_device(&device)?;
    graft([logits], losses, move |_, grad| {
        let grad = grad.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let mut table = vec![0f64; rows * columns];
        for (grad, slopes) in grad.to_vec1::<f64>()?.into_iter().zip(&slopes) {
            for (place, slope) in slopes {
                table[*place] += grad * slope;
            }
        }
        let table = Tensor::from_vec(table, (rows, columns), &Device::Cpu)?;
        Ok([Some(table.to_dtype(dtype)?.to_device(&device)?)])
    })
}
