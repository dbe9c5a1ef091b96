//! Progress on stderr; indicatif draws nothing where stderr is no terminal.
use indicatif::{ProgressBar, ProgressStyle};

use crate::{models::hub::PullProgress, pipelines::progress::Progress};

/// One bar, for the file that is being downloaded.
pub(super) struct DownloadBar {
    bar: ProgressBar,
}

impl DownloadBar {
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        )
        .expect("the template is valid");
        Self {
            bar: ProgressBar::no_length().with_style(style),
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl PullProgress for DownloadBar {
    fn file(&self, path: &str, size: u64, have: u64) {
        self.bar.set_message(path.to_owned());
        self.bar.set_length(size);
        self.bar.set_position(have);
        self.bar.reset_eta();
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

/// One bar, for the steps of an edit.
pub(super) struct EditBar {
    bar: ProgressBar,
}

impl EditBar {
    pub(super) fn new() -> Self {
        let style =
            ProgressStyle::with_template("{msg:<12} {wide_bar} {pos}/{len} steps {elapsed}")
                .expect("the template is valid");
        Self {
            bar: ProgressBar::no_length().with_style(style),
        }
    }

    pub(super) fn show(&self, progress: Progress) {
        match progress {
            Progress::Began(stage) => self.bar.set_message(format!("{stage:?}").to_lowercase()),
            Progress::Preview { .. } => {}
            Progress::Step { done, of } => {
                self.bar.set_length(of as u64);
                self.bar.set_position(done as u64);
            }
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// One bar, for the rows that a judge answers.
pub(super) struct RowBar {
    bar: ProgressBar,
}

impl RowBar {
    pub(super) fn new(rows: usize) -> Self {
        let style = ProgressStyle::with_template("judging {wide_bar} {pos}/{len} rows {eta}")
            .expect("the template is valid");
        Self {
            bar: ProgressBar::new(rows as u64).with_style(style),
        }
    }

    pub(super) fn advance(&self, rows: usize) {
        self.bar.inc(rows as u64);
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
