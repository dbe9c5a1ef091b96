//! The fields that ask for a judge.
use super::form::FormLimits;
use crate::{
    engine::{EditDescription, EditType, Edited, Judging},
    http::{
        description::{edit_type, object},
        fields::{Fields, Need},
    },
};

/// What an edit is judged for.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Candidates, where one of several is answered.
    pub best_of: Option<u64>,
    /// What the best image must reach to be accepted.
    pub min_score: Option<f64>,
    pub edit_type: EditType,
    /// Empty where nobody said.
    pub object: String,
}

impl Judged {
    /// `None` where no judge is asked for.
    pub fn read(fields: &mut Fields, limits: &FormLimits) -> Option<Self> {
        use Need::Optional;
        let implied = ["best_of", "min_score"].map(|name| fields.has(name));
        let judge = fields.boolean("judge", Optional);
        let best_of = fields.integer("best_of", Optional, 2..=limits.max_best_of);
        let min_score = fields.number("min_score", Optional, 0.0..=1.0);
        let implied = implied.contains(&true);
        if judge == Some(false) && implied {
            fields.refuse(
                "judge",
                "must be true or absent beside best_of or min_score",
            );
        }
        let asked = judge.unwrap_or(implied);
        if !asked {
            for name in ["edit_type", "object"] {
                if fields.has(name) {
                    fields.refuse(
                        name,
                        "is for the judge alone; add judge: true, or leave it out",
                    );
                }
            }
        }
        let edit_type = edit_type(fields);
        let object = object(fields, limits.instruction_max_bytes);
        asked.then(|| Self {
            best_of,
            min_score,
            edit_type: edit_type.unwrap_or_default(),
            object: object.unwrap_or_default(),
        })
    }

    /// What the engine is asked for.
    pub fn judging(&self, instruction: &str) -> Judging {
        let edit = EditDescription {
            instruction: instruction.to_owned(),
            edit_type: self.edit_type,
            object: self.object.clone(),
        };
        match self.best_of {
            Some(_) => Judging::Best(edit),
            None => Judging::Each(edit),
        }
    }

    /// Whether the best image is good enough; `None` where nobody asked.
    pub fn accepted(&self, edited: &Edited) -> Option<bool> {
        let overall = edited
            .candidates
            .iter()
            .map(|candidate| candidate.score.overall);
        let best = overall.fold(0.0, f64::max);
        self.min_score.map(|min_score| best >= min_score)
    }
}
