//! Whether an adapter is better: held-out rows and a fixed regression set, edited with and without it, judged, compared.
mod bootstrap;
mod cases;
mod compare;

pub use self::{
    bootstrap::Interval,
    cases::{Case, CaseError, held_out, regression},
    compare::{Comparison, GateSettings, compare},
};
