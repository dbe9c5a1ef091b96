//! What moves parameters, with state that can be kept: AdamW, and Muon for the matrices inside blocks.
mod adamw;
mod gradients;
pub(super) mod joined;
mod muon;

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var, bail};

pub use self::{
    adamw::{AdamW, AdamWSettings, Moments},
    gradients::{accumulate, clip_global_norm, global_norm, gradients_of},
    muon::{Muon, MuonSettings, orthogonal},
};

/// Trained parameters by name.
pub type Parameters = BTreeMap<String, Var>;
/// One gradient a parameter, by the same names.
pub type Gradients = BTreeMap<String, Tensor>;

/// Which parameters Muon moves, and how; AdamW moves the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Hidden {
    /// Parts of names between dots; a matrix or a convolution whose name has one of them is Muon's.
    pub modules: Vec<String>,
    pub settings: MuonSettings,
}

/// AdamW and Muon, each for its own parameters.
#[derive(Clone, Debug)]
pub struct Optimiser {
    adam: AdamW,
    muon: Muon,
    hidden: Hidden,
    /// AdamW's full learning rate.
    peak: f64,
}

impl Optimiser {
    pub fn new(adam: AdamWSettings, hidden: Hidden) -> Self {
        Self {
            adam: AdamW::new(adam),
            muon: Muon::default(),
            hidden,
            peak: adam.learning_rate,
        }
    }

    /// The same settings with the state of a checkpoint.
    pub fn resumed(&self, adam: AdamW, muon: Muon) -> Self {
        Self {
            adam,
            muon,
            hidden: self.hidden.clone(),
            peak: self.peak,
        }
    }

    pub fn adam(&self) -> &AdamW {
        &self.adam
    }

    pub fn muon(&self) -> &Muon {
        &self.muon
    }

    /// Moves every parameter against its gradient; Muon's rate is that share of its own which `learning_rate` is of AdamW's.
    ///
    /// # Errors
    /// A parameter without a gradient: nothing is moved then.
    pub fn update(
        &mut self,
        parameters: &Parameters,
        gradients: &Gradients,
        learning_rate: f64,
    ) -> Result<()> {
        if let Some(name) = parameters
            .keys()
            .find(|name| !gradients.contains_key(*name))
        {
            bail!("{name} has no gradient; a parameter that takes no part must not be trained")
        }
        let (hidden, rest): (Parameters, Parameters) = parameters
            .clone()
            .into_iter()
            .partition(|(name, var)| self.hidden.has(name, var));
        self.adam.set_learning_rate(learning_rate);
        self.adam.update(&rest, gradients)?;
        let share = learning_rate / self.peak.max(f64::MIN_POSITIVE);
        let settings = MuonSettings {
            learning_rate: self.hidden.settings.learning_rate * share,
            ..self.hidden.settings
        };
        self.muon.update(&hidden, gradients, settings)
    }
}

impl Hidden {
    /// AdamW alone.
    pub fn none() -> Self {
        Self {
            modules: Vec::new(),
            settings: MuonSettings {
                learning_rate: 0.0,
                momentum: 0.0,
            },
        }
    }

    fn has(&self, name: &str, var: &Var) -> bool {
        let named = |module: &String| name.split('.').any(|part| part == module);
        var.rank() >= 2 && self.modules.iter().any(named)
    }
}
