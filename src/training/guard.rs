//! Steps that would do harm are skipped; too many in a row end the run.
use std::fmt;

/// When a step is skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Largest global gradient norm of a step that is taken.
    pub spike_norm: f64,
    /// This many skipped steps in a row end the run.
    pub give_up_after: u32,
}

/// Why a step was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// A loss or a gradient is no number.
    NonFinite,
    /// The gradient norm is above `spike_norm`.
    Spike,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonFinite => "a loss or gradient is not finite",
            Self::Spike => "the gradient norm spiked",
        })
    }
}

impl Guard {
    /// Why a step with this loss and gradient norm is to be skipped, if it is.
    pub fn judge(&self, loss: f64, grad_norm: f64) -> Option<Skipped> {
        match (
            loss.is_finite() && grad_norm.is_finite(),
            grad_norm > self.spike_norm,
        ) {
            (false, _) => Some(Skipped::NonFinite),
            (true, true) => Some(Skipped::Spike),
            (true, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_and_what_is_no_number_are_skipped() {
        let guard = Guard {
            spike_norm: 300.0,
            give_up_after: 3,
        };
        assert_eq!(guard.judge(1.0, 300.0), None);
        assert_eq!(guard.judge(1.0, 300.1), Some(Skipped::Spike));
        assert_eq!(guard.judge(f64::NAN, 1.0), Some(Skipped::NonFinite));
        assert_eq!(guard.judge(1.0, f64::INFINITY), Some(Skipped::NonFinite));
    }
}
