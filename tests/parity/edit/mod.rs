//! The editor: text, reference, every step, picture.
mod conditioning;
mod denoising;

use serde_json::Value;

use self::conditioning::Conditioned;
pub use self::denoising::clipped;
use crate::{
    ledger::{Failure, Ledger},
    system::{System, text},
};

/// One case of the edit part.
pub struct Case<'a> {
    pub id: &'a str,
    pub json: &'a Value,
}

impl Case<'_> {
    /// Name of a recorded tensor.
    pub fn out(&self, name: &str) -> String {
        format!("out.edit.{}.{name}", self.id)
    }

    /// Name of a recorded input.
    pub fn input(&self, name: &str) -> String {
        format!("in.edit.{}.{name}", self.id)
    }

    /// Name of a recorded value of `cases.json`.
    pub fn expected(&self, key: &str) -> String {
        format!("edit.{}.expected.{key}", self.id)
    }
}

pub fn compare(system: &System, ledger: &mut Ledger) -> Result<(), Failure> {
    for json in system.variant.cases["edit"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let case = Case {
            id: text(json, "id")?,
            json,
        };
        let compared = Conditioned::compare(system, &case, ledger)
            .and_then(|conditioned| denoising::compare(system, &case, &conditioned, ledger));
        if let Err(error) = compared {
            ledger.broken(&format!("edit.{}", case.id), &error);
        }
    }
    Ok(())
}
