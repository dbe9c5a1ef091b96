//! The judge's answers as a loss.
use candle_core::{D, Result, Tensor, bail};

use crate::pipelines::{
    judge::AnswerLogits,
    questions::{Answer, Question, QuestionKind},
};

/// Share of the margin that counts at the first step.
const RAMP_START: f64 = 0.1;

/// Factor on the margins at a generator step: soft at first, 1 from step `steps` on
/// (`temperature` of nupurkmr9/npedit @ a3cd76c, which multiplies).
pub fn ramp(step: u64, steps: u64) -> f64 {
    if step >= steps {
        return 1.0;
    }
    RAMP_START + (1.0 - RAMP_START) * step as f64 / steps as f64
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

/// Probability of the right answer, and the term that it is reported as.
pub fn right_answer(question: &Question, margin: f64) -> (&'static str, f64) {
    let sign = match question.expected {
        Answer::Yes => 1.0,
        Answer::No => -1.0,
    };
    let term = match question.kind {
        QuestionKind::Preservation => "p_yes_identity",
        QuestionKind::Edit | QuestionKind::Custom => "p_yes_edit",
    };
    (term, 1.0 / (1.0 + libm::exp(-sign * margin)))
}

/// Cross-entropy of each answer over the whole `vocabulary` `[Q, V]`, `[Q]`: the paper's ablation of [`answer_losses`].
///
/// # Errors
/// Another number of answers than of questions.
pub fn vocabulary_losses(
    logits: &AnswerLogits,
    vocabulary: &Tensor,
    expected: &[Answer],
    temperature: f64,
) -> Result<Tensor> {
    if logits.yes.dims() != [expected.len()] {
        bail!(
            "{} expected answers to {:?}",
            expected.len(),
            logits.yes.dims()
        )
    }
    let wanted = expected.iter().map(|answer| match answer {
        Answer::Yes => 1u8,
        Answer::No => 0,
    });
    let wanted = Tensor::from_iter(wanted, logits.yes.device())?;
    let wanted = wanted.where_cond(&logits.yes, &logits.no)?;
    (vocabulary * temperature)?.log_sum_exp(D::Minus1)? - (wanted * temperature)?
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
        assert_eq!(ramp(0, 2000), 0.1);
        assert!((ramp(200, 2000) - 0.19).abs() < 1e-12);
        assert_eq!(
            [ramp(2000, 2000), ramp(1_000_000, 2000), ramp(0, 0)],
            [1.0; 3]
        );
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

    #[test]
    fn over_two_tokens_the_vocabulary_is_the_other_answer() {
        let yes = Var::new(&[0.3f64, -2.0], &Device::Cpu).unwrap();
        let no = Tensor::new(&[1.0f64, 0.5], &Device::Cpu).unwrap();
        let logits = AnswerLogits {
            yes: yes.as_tensor().clone(),
            no: no.clone(),
        };
        let vocabulary = Tensor::stack(&[yes.as_tensor(), &no], 1).unwrap();
        let expected = [Answer::Yes, Answer::No];
        let open = vocabulary_losses(&logits, &vocabulary, &expected, 0.7).unwrap();
        let binary = answer_losses(&logits, &expected, 0.7).unwrap();
        for (open, binary) in open
            .to_vec1::<f64>()
            .unwrap()
            .iter()
            .zip(binary.to_vec1::<f64>().unwrap())
        {
            assert!((open - binary).abs() < 1e-12, "{open} {binary}");
        }
    }
}
