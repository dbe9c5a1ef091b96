//! A job's events on stderr, until one of them is the end.
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// How a job ended.
pub(super) enum Verdict {
    Trained {
        job: String,
        adapter: String,
        promoted: bool,
        reasons: Vec<String>,
        /// In words.
        gain: String,
    },
    Ended {
        job: String,
        status: String,
        message: String,
    },
}

/// Shows a job: a bar on a terminal, a line for each event elsewhere.
pub(super) struct Follower {
    job: String,
    bar: ProgressBar,
}

const ENDS: [&str; 3] = ["succeeded", "failed", "cancelled"];

impl Follower {
    pub(super) fn new(job: &str, steps: u64) -> Self {
        let style = ProgressStyle::with_template("{pos}/{len} steps {wide_bar} {eta}  {msg}")
            .expect("the template is valid");
        Self {
            job: job.to_owned(),
            bar: ProgressBar::new(steps).with_style(style),
        }
    }

    /// Takes the next event; answers the verdict where it is the last.
    pub(super) fn hear(&self, kind: &str, data: &Value) -> Option<Verdict> {
        match kind {
            "step" => self.step(data),
            // a job that waits or starts anew has no better numbers than the bar's
            "checkpoint" | "samples" => {}
            "lease_expired" => self.note("its process died; another try follows"),
            "started" => self.note(&format!(
                "try {} starts after step {}",
                data["try"], data["from_step"]
            )),
            kind if ENDS.contains(&kind) => {}
            kind => self.note(kind),
        }
        // also a job that nobody ran can end
        let end = [kind, data["status"].as_str().unwrap_or_default()];
        let status = end.into_iter().find(|status| ENDS.contains(status))?;
        self.bar.finish_and_clear();
        Some(self.verdict(status, &data["outcome"]))
    }

    fn step(&self, report: &Value) {
        let step = report["step"].as_u64().unwrap_or_default();
        let loss = report["loss"].as_f64().unwrap_or_default();
        self.bar.set_position(step);
        self.bar.set_message(format!("loss {loss:.4}"));
        if self.bar.is_hidden() {
            let of = self.bar.length().unwrap_or_default();
            eprintln!("step {step}/{of}  loss {loss:.4}");
        }
    }

    /// A line that stays, above the bar or in a pipe.
    pub(super) fn note(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn verdict(&self, status: &str, outcome: &Value) -> Verdict {
        let job = self.job.clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let Some(adapter) = outcome["adapter"].as_str() else {
            let message = match outcome["message"].as_str() {
                Some(message) => message.to_owned(),
                None => "somebody asked for it; run the same command again".into(),
            };
            return Verdict::Ended {
                job,
                status: status.into(),
                message,
            };
        };
        let gate = &outcome["gate"];
        let number = |name: &str| gate["gain"][name].as_f64().unwrap_or_default();
        Verdict::Trained {
            job,
            adapter: adapter.to_owned(),
            promoted: outcome["promoted"] == true,
            reasons: outcome["reasons"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect(),
            gain: format!(
                "{:+.4} in score on {} held-out rows (95 %: {:+.4} to {:+.4})",
                number("mean"),
                gate["held_out"],
                number("lower"),
                number("upper"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_event_is_the_verdict() {
        let follower = Follower::new("ftjob-1", 2);
        let told = [
            ("queued", json!({})),
            ("started", json!({"try": 1, "from_step": 0})),
            ("step", json!({"step": 1, "loss": 0.5})),
            ("lease_expired", json!({"status": "queued"})),
        ];
        for (kind, data) in told {
            assert!(follower.hear(kind, &data).is_none(), "{kind}");
        }
        let gate = json!({"held_out": 3, "gain": {"mean": 0.1, "lower": 0.05, "upper": 0.2}});
        let outcome =
            json!({"adapter": "abc", "promoted": true, "reasons": ["good"], "gate": gate});
        let Some(Verdict::Trained {
            adapter,
            promoted,
            gain,
            ..
        }) = follower.hear("succeeded", &json!({"outcome": outcome}))
        else {
            panic!()
        };
        assert_eq!((adapter.as_str(), promoted), ("abc", true));
        assert!(
            gain.contains("+0.1000") && gain.contains("3 held-out"),
            "{gain}"
        );
        let dead =
            json!({"status": "failed", "outcome": {"code": "dead_letter", "message": "it died"}});
        let Some(Verdict::Ended {
            status, message, ..
        }) = follower.hear("lease_expired", &dead)
        else {
            panic!()
        };
        assert_eq!((status.as_str(), message.as_str()), ("failed", "it died"));
        let asked = json!({"action": "cancel", "status": "cancelled"});
        assert!(follower.hear("asked", &asked).is_some());
    }
}
