//! A run on stderr: one bar, with the numbers of the last step.
use indicatif::{ProgressBar, ProgressStyle};

use crate::training::{run::Event, trainer::StepReport};

/// The bar of a run; indicatif draws nothing where stderr is no terminal.
pub(super) struct TrainBar {
    bar: ProgressBar,
}

impl TrainBar {
    pub(super) fn new(steps: u64) -> Self {
        let style = ProgressStyle::with_template("{pos}/{len} steps {wide_bar} {eta}  {msg}")
            .expect("the template is valid");
        Self {
            bar: ProgressBar::new(steps).with_style(style),
        }
    }

    pub(super) fn show(&self, event: &Event) {
        match event {
            Event::Resumed { step, damaged } => {
                for problem in damaged {
                    self.note(&format!("warning: {problem}"));
                }
                self.note(&format!("going on after step {step}"));
                self.bar.set_position(*step);
                self.bar.reset_eta();
            }
            Event::Step(report) => {
                self.bar.set_position(report.step);
                self.bar.set_message(numbers(report));
                if let Some(why) = report.skipped {
                    self.note(&format!("warning: step {} was skipped: {why}", report.step));
                }
            }
            // a pipe has no bar
            Event::Checkpoint(_) if self.bar.is_hidden() => {
                let (step, of) = (self.bar.position(), self.bar.length().unwrap_or_default());
                self.note(&format!("step {step}/{of}  {}", self.bar.message()));
            }
            Event::Checkpoint(_) => {}
            Event::Samples(path) => self.note(&format!("pictures {}", path.display())),
        }
    }

    /// A line that stays, above the bar or in a pipe.
    fn note(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn numbers(report: &StepReport) -> String {
    let terms = report
        .terms
        .iter()
        .map(|(term, value)| format!("{term} {value:.3}"));
    let terms: Vec<String> = terms.collect();
    format!(
        "loss {:.4}  {}  norm {:.2}  {:.1} samples/s",
        report.loss,
        terms.join("  "),
        report.grad_norm,
        report.samples_per_sec,
    )
}
