//! Numbers, diagrams and pictures to HTML; every text is escaped by the template engine.
use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, Value, context};

use super::{Finished, chart::short, metrics::Metrics, panel::Panel, pictures::Cell};
use crate::config::Layer;

const TEMPLATE: &str = include_str!("page.html");
const NAME: &str = "page.html";
/// The template is part of this program, and a test renders it.
const RENDERS: &str = "the built-in template renders";
/// Share of the run that its last numbers are means of.
const LAST_SHARE: usize = 10;

/// Everything that is shown.
pub(super) struct Page<'a> {
    pub finished: &'a Finished<'a>,
    pub metrics: &'a Metrics,
    /// Hashes by what they are of.
    pub identity: &'a BTreeMap<String, String>,
    pub panels: &'a [Panel],
    /// Pictures of each row.
    pub rows: &'a [Vec<Cell>],
}

pub(super) fn render(page: &Page) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template(NAME, TEMPLATE).expect(RENDERS);
    let template = environment.get_template(NAME).expect(RENDERS);
    let setting = |wanted: &str| {
        let mut settings = page.finished.settings.iter();
        let found = settings.find(|(key, _, _)| *key == wanted);
        found.map_or_else(String::new, |(_, setting, _)| setting.to_string())
    };
    let context = context! {
        stage => setting("stage").trim_matches('"').to_owned(),
        version => env!("CARGO_PKG_VERSION"),
        numbers => list(numbers(page.metrics), pair),
        result => list(page.finished.result.clone(), pair),
        rows => list(page.finished.instructions.iter().zip(page.rows), |(instruction, cells)| context! {
            instruction => *instruction,
            cells => list(cells, |(label, address)| context! { label => label.clone(), address => address.clone() }),
        }),
        panels => list(page.panels, |panel| context! {
            title => panel.title.clone(),
            about => panel.about,
            svg => panel.svg(),
        }),
        identity => list(page.identity.iter().filter(|(_, hash)| !hash.is_empty()), |(what, hash)| context! {
            what => what.clone(),
            name => page.finished.names.get(what.as_str()).cloned().unwrap_or_default(),
            hash => hash.clone(),
        }),
        settings => list(page.finished.settings.iter(), |(key, setting, layer)| context! {
            key => key,
            value => setting.to_string(),
            chosen => *layer != Layer::Default,
        }),
    };
    template.render(context).expect(RENDERS)
}

fn list<T>(items: impl IntoIterator<Item = T>, value: impl Fn(T) -> Value) -> Value {
    Value::from(items.into_iter().map(value).collect::<Vec<_>>())
}

fn pair<T: Into<Value>>((label, value): (&'static str, T)) -> Value {
    context! { label => label, value => value.into() }
}

/// What one looks at first.
fn numbers(metrics: &Metrics) -> Vec<(&'static str, String)> {
    let steps = metrics.0.last().map_or(0, |line| line.step);
    let mut numbers = vec![
        ("steps", steps.to_string()),
        ("skipped", metrics.skipped().len().to_string()),
        ("time in steps", duration(metrics.wall_secs())),
    ];
    match metrics.series("judge_calls").last() {
        Some((_, calls)) if *calls > 0.0 => {
            numbers.push(("questions to the judge", calls.to_string()));
        }
        _ => {}
    }
    let last = |name: &str| {
        let series = metrics.series(name);
        let count = series.len().div_ceil(LAST_SHARE);
        let values = series.iter().rev().take(count).map(|(_, value)| value);
        (count > 0).then(|| short(values.sum::<f64>() / count as f64))
    };
    let shown = [
        ("samples a second", "samples_per_sec"),
        ("p(edit done)", "p_yes_edit"),
        ("p(rest kept)", "p_yes_identity"),
        ("loss", "loss"),
    ];
    numbers.extend(
        shown
            .into_iter()
            .filter_map(|(label, name)| Some((label, last(name)?))),
    );
    numbers
}

fn duration(secs: f64) -> String {
    let whole = secs.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{secs:.1} s"),
        (0, minutes, secs) => format!("{minutes} min {secs} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
