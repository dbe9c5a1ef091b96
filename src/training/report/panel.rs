//! Which curves share a diagram, and what they mean.
use super::metrics::{Metrics, Series};

/// One diagram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    pub title: String,
    /// One sentence on how to read it.
    pub about: &'static str,
    /// By the names that `metrics.jsonl` has.
    pub curves: Vec<(String, Series)>,
    pub axis: Axis,
    /// First and last step of the run.
    pub steps: (f64, f64),
    /// Steps that were skipped.
    pub skipped: Vec<f64>,
}

/// What the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// From the least to the largest.
    Values,
    /// From 0 to 1.
    Probabilities,
}

/// Title, meaning and curves of the diagrams that come first.
const FIRST: [(&str, &str, &[&str], Axis); 2] = [
    (
        "the judge's answers",
        "Probability of the right answer to each question: was the edit made, and is the rest as it was. Higher is better.",
        &["p_yes_edit", "p_yes_identity"],
        Axis::Probabilities,
    ),
    (
        "loss",
        "What the step minimises: every term times its weight.",
        &["loss"],
        Axis::Values,
    ),
];
/// Those that come last.
const LAST: [(&str, &str); 2] = [
    (
        "grad_norm",
        "Norm of the whole gradient, before it was clipped.",
    ),
    ("learning_rate", "Size of the optimiser's step."),
];
/// Numbers about what a run costs, not about the model.
const NOT_DRAWN: [&str; 2] = ["samples_per_sec", "judge_calls"];

impl Panel {
    /// Everything that was measured, once.
    pub(super) fn of(metrics: &Metrics) -> Vec<Self> {
        let panel = |title: &str, about, names: &[&str], axis| Self {
            title: title.to_owned(),
            about,
            curves: names
                .iter()
                .map(|name| ((*name).to_owned(), metrics.series(name)))
                .filter(|(_, points)| !points.is_empty())
                .collect(),
            axis,
            steps: metrics.steps(),
            skipped: metrics.skipped(),
        };
        let mut panels: Vec<Self> = FIRST
            .iter()
            .map(|(title, about, names, axis)| panel(title, about, names, *axis))
            .collect();
        let placed = |name: &str| {
            FIRST.iter().any(|(_, _, names, _)| names.contains(&name))
                || LAST.iter().any(|(of, _)| *of == name)
                || NOT_DRAWN.contains(&name)
        };
        for name in metrics.names().iter().filter(|name| !placed(name)) {
            panels.push(panel(name, meaning(name), &[name], Axis::Values));
        }
        for (name, about) in LAST {
            panels.push(panel(name, about, &[name], Axis::Values));
        }
        panels.retain(|panel| !panel.curves.is_empty());
        panels
    }
}

/// What a term measures; nothing where that is not known here.
fn meaning(term: &str) -> &'static str {
    match term {
        "judge" => "Cross-entropy of the judge's answers: falls as it says the right ones.",
        "dmd" => "Half the squared step towards the teacher's distribution; it need not fall.",
        "do_nothing" => "Latents of \"do nothing.\" items against the reference's.",
        "anchor" => "Replayed items against the base's own edits.",
        "pixel" => "Mean squared difference of pixels to the reference.",
        "lpips" => "Perceptual distance to the reference.",
        "fake_score" => "Flow-matching error of the model that follows what the generator makes.",
        "flow" => "Flow-matching error against the target picture.",
        "reward" => "What the judge's probabilities make of an edit. Higher is better.",
        "reward_spread" => "Standard deviation of the rewards of a group; at 0 nothing is learnt.",
        "policy" => "Clipped surrogate of the rewards: its gradient counts, not its value.",
        "kl" => "Divergence from the base.",
        "clipped" => "Share of denoising steps whose probability changed more than is followed.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_about_the_model_is_drawn_once() {
        let lines = [1, 2].map(|step| {
            let line = serde_json::json!({
                "step": step, "loss": 1.0, "grad_norm": 2.0, "learning_rate": 1e-4, "samples_per_sec": 3.0,
                "judge_calls": 4, "wall_secs": 1.0, "dmd": 0.5, "p_yes_edit": 0.25, "p_yes_identity": 0.75, "new_term": 1.0,
            });
            serde_json::from_value(line).unwrap()
        });
        let panels = Panel::of(&Metrics(lines.into()));
        let titles: Vec<_> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "the judge's answers",
                "loss",
                "dmd",
                "new_term",
                "grad_norm",
                "learning_rate"
            ]
        );
        assert_eq!(panels[0].curves.len(), 2);
        assert!(Panel::of(&Metrics::default()).is_empty());
    }
}
