//! The judge's answers as a loss.
use candle_core::{Result, Tensor, bail};

use crate::pipelines::{judge::AnswerLogits, questions::Answer};

/// Steps until the answers count in full.
const RAMP_STEPS: f64 = 2000.0;
/// Share of the margin that counts at the first step.
const RAMP_START: f64 = 0.1;

/// Factor on the margins at a generator step: soft at first, 1 from step 2000 on
/// (`temperature` of nupurkmr9/npedit @ a3cd76c, which multiplies).
pub fn ramp(step: u64) -> f64 {
    (RAMP_START + (1.0 - RAMP_START) * step as f64 / RAMP_STEPS).min(1.0)
}

/// Binary cross-entropy of each answer, `[Q]`: `softplus(-+ temperature (yes - no))` (paper, L_VLM).
///
/// # Errors
/// Another number of answers than of questions.
pub fn answer_losses(
    logits: &AnswerLogits,
    expected: &[Answer],
    temperature: f64,
) -> Result<Tensor> {
    let margin = logits.margin()?;
    if margin.dims() != [expected.len()] {
        bail!("{} expected answers to {:?}", expected.len(), margin.dims())
    }
    let signs = expected.iter().map(|answer| match answer {
        Answer::Yes => -temperature,
        Answer::No => temperature,
    });
    let signs = Tensor::from_iter(signs, margin.device())?.to_dtype(margin.dtype())?;
    softplus(&(margin * signs)?)
}

/// `ln(1 + e^x)`, without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    x.relu()? + tail
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn the_ramp_ends_at_one() {
        assert_eq!(ramp(0), 0.1);
        assert!((ramp(200) - 0.19).abs() < 1e-12);
        assert_eq!([ramp(2000), ramp(1_000_000)], [1.0, 1.0]);
    }

    #[test]
    fn a_wrong_answer_costs_its_margin_at_any_size() {
        let yes = Var::new(&[0f64, 90.0, 90.0, -900.0], &Device::Cpu).unwrap();
        let logits = AnswerLogits {
            yes: yes.as_tensor().clone(),
            no: yes.zeros_like().unwrap(),
        };
        let expected = [Answer::Yes, Answer::Yes, Answer::No, Answer::Yes];
        let losses = answer_losses(&logits, &expected, 1.0).unwrap();
        let values = losses.to_vec1::<f64>().unwrap();
        let exact = [2f64.ln(), 0.0, 90.0, 900.0];
        for (value, exact) in values.iter().zip(exact) {
            assert!((value - exact).abs() < 1e-12, "{value} {exact}");
        }
        let grads = losses.sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&yes).unwrap().to_vec1::<f64>().unwrap();
        for (grad, exact) in grad.iter().zip([-0.5, 0.0, 1.0, -1.0]) {
            assert!((grad - exact).abs() < 1e-12, "{grad} {exact}");
        }
        assert!(answer_losses(&logits, &[Answer::Yes], 1.0).is_err());
    }
}
