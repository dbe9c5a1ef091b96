//! The comparison itself, and what follows from it.
use std::{collections::BTreeMap, ops::ControlFlow};

use serde::Serialize;

use super::{Case, Interval};
use crate::{
    engine::{EditInput, EngineError, NoiseSource, OutputSize, PreprocessRule, ScoreInput},
    pipelines::{edit::EditPipeline, judge::Judge},
};

/// When an adapter is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateSettings {
    /// The gain's lower bound must be above it.
    pub margin: f64,
    /// No edit type of the regression set may lose more.
    pub type_margin: f64,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Held-out rows that were edited and judged.
    pub held_out: usize,
    pub regression: usize,
    /// Mean overall score of the held-out edits without and with the adapter.
    pub before: f64,
    pub after: f64,
    /// Of the score over the held-out rows.
    pub gain: Interval,
    /// Mean change of the score of the regression set, by edit type.
    pub by_type: BTreeMap<String, f64>,
    /// Mean distance of an edit from its input over the regression set, 0..1, without and with the adapter.
    pub drift_before: f64,
    pub drift_after: f64,
}

/// What one case gave.
struct Judged {
    overall: f64,
    drift: f64,
}

/// Edits and judges the cases, in order. `turn` is called before each and may break off.
fn run(
    (editor, judge): (&EditPipeline, &Judge),
    cases: &[Case],
    turn: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Vec<Judged>, EngineError> {
    let steps = editor.bundle.settings.default_steps;
    let mut judged = Vec::with_capacity(cases.len());
    for (seed, case) in cases.iter().enumerate() {
        if turn().is_break() {
            return Err(EngineError::ClientLeft);
        }
        let input = EditInput {
            image: case.image.clone(),
            instruction: case.edit.instruction.clone(),
            noise: NoiseSource::Seeds(vec![seed as u64]),
            steps,
            size: OutputSize::Auto,
            preprocess: PreprocessRule::Area,
        };
        let output = editor.run(&input, &mut |_| ControlFlow::Continue(()))?;
        let edited = &output.images[0].rgb;
        let pair = ScoreInput {
            reference: case.image.rgb.clone(),
            edited: edited.clone(),
            edit: case.edit.clone(),
            questions: Vec::new(),
        };
        let score = judge
            .score(&pair)
            .map_err(|source| EngineError::Judge { item: seed, source })?;
        judged.push(Judged {
            overall: score.overall,
            drift: distance(case.image.rgb.as_raw(), edited.as_raw()),
        });
    }
    Ok(judged)
}

/// Held-out and regression cases, without and with an adapter: `adapt` puts it beside the generator.
///
/// # Errors
/// An edit or a judgement that fails, or `turn` broke off ([`EngineError::ClientLeft`]).
pub fn compare<E: From<EngineError>>(
    (editor, judge): (EditPipeline, &Judge),
    (held_out, regression): (&[Case], &[Case]),
    adapt: impl FnOnce(EditPipeline) -> Result<EditPipeline, E>,
    turn: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Comparison, E> {
    let held_before = run((&editor, judge), held_out, turn)?;
    let regression_before = run((&editor, judge), regression, turn)?;
    let editor = adapt(editor)?;
    let held_after = run((&editor, judge), held_out, turn)?;
    let regression_after = run((&editor, judge), regression, turn)?;
    let mut by_type: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let pairs = regression_before.iter().zip(&regression_after);
    for (case, (before, after)) in regression.iter().zip(pairs) {
        let change = after.overall - before.overall;
        by_type.entry(case.group.clone()).or_default().push(change);
    }
    let gains: Vec<f64> = held_before
        .iter()
        .zip(&held_after)
        .map(|(before, after)| after.overall - before.overall)
        .collect();
    let overall = |judged: &[Judged]| mean(judged.iter().map(|judged| judged.overall));
    let drift = |judged: &[Judged]| mean(judged.iter().map(|judged| judged.drift));
    let by_type = by_type.into_iter();
    Ok(Comparison {
        held_out: held_out.len(),
        regression: regression.len(),
        before: overall(&held_before),
        after: overall(&held_after),
        gain: Interval::of(&gains).unwrap_or_default(),
        by_type: by_type
            .map(|(group, changes)| (group, mean(changes.into_iter())))
            .collect(),
        drift_before: drift(&regression_before),
        drift_after: drift(&regression_after),
    })
}

impl Comparison {
    /// Whether the adapter may be promoted, and why, or why not.
    pub fn decide(&self, settings: &GateSettings) -> (bool, Vec<String>) {
        if self.held_out == 0 {
            let reason = "no rows were held out, and an adapter is never judged on the rows that it was trained on; send more rows, or raise holdout";
            return (false, vec![reason.into()]);
        }
        let Interval { mean, lower, upper } = self.gain;
        let told = format!(
            "the gain over {} held-out rows is {mean:+.4} ({lower:+.4} to {upper:+.4})",
            self.held_out
        );
        let margin = settings.margin;
        let better = lower > margin;
        let mut reasons = vec![match better {
            true => format!("{told}: its lower bound is above the margin {margin}"),
            false => format!("{told}: its lower bound is not above the margin {margin}"),
        }];
        let worse = self.by_type.iter();
        let worse = worse.filter(|(_, change)| **change < -settings.type_margin);
        reasons.extend(worse.clone().map(|(group, change)| {
            let most = settings.type_margin;
            format!(
                "edits of the type {group} lose {:.4}, more than {most}",
                -change
            )
        }));
        (better && worse.count() == 0, reasons)
    }
}

/// Mean of nothing is 0.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    if count == 0.0 { 0.0 } else { sum / count }
}

/// Mean absolute difference of two pictures of one size, 0..1.
fn distance(a: &[u8], b: &[u8]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)));
    mean(differences) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: GateSettings = GateSettings {
        margin: 0.0,
        type_margin: 0.05,
    };

    fn comparison(gains: &[f64]) -> Comparison {
        Comparison {
            held_out: gains.len(),
            gain: Interval::of(gains).unwrap_or_default(),
            ..Comparison::default()
        }
    }

    #[test]
    fn only_a_sure_gain_without_a_loss_is_promoted() {
        assert!(comparison(&[0.1, 0.2, 0.3]).decide(&SETTINGS).0);
        let (promoted, reasons) = comparison(&[0.4, -0.3, 0.1]).decide(&SETTINGS);
        assert!(!promoted && reasons[0].contains("not above"), "{reasons:?}");
        let mut losing = comparison(&[0.1, 0.2, 0.3]);
        losing.by_type.insert("color".into(), -0.2);
        losing.by_type.insert("shape".into(), -0.01);
        let (promoted, reasons) = losing.decide(&SETTINGS);
        assert!(!promoted && reasons.len() == 2, "{reasons:?}");
        assert!(reasons[1].contains("color"), "{reasons:?}");
        let (promoted, reasons) = comparison(&[]).decide(&SETTINGS);
        assert!(!promoted && reasons[0].contains("no rows were held out"));
    }
}
