//! Reads validated values out of merged layers; every mistake is kept, none stops the search.
use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use super::{
    issue::Issue,
    layers::{Layers, Setting},
    values::Choice,
};

/// Longest time that a setting may ask for: one day.
const MAX_SECS: u64 = 24 * 60 * 60;

/// Reads keys one by one and remembers what was wrong.
pub struct Reader<'a> {
    layers: &'a Layers,
    issues: Vec<Issue>,
}

impl<'a> Reader<'a> {
    /// Adds to the `issues` of merging.
    pub fn new(layers: &'a Layers, issues: Vec<Issue>) -> Self {
        Self { layers, issues }
    }

    /// # Errors
    /// Everything that was wrong.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<Issue>> {
        if self.issues.is_empty() {
            Ok(value)
        } else {
            Err(self.issues)
        }
    }

    pub fn issue(&mut self, key: &str, advice: &str) {
        let (setting, layer) = self.layers.get(key);
        self.issues
            .push(Issue::new(key, &setting.to_string(), layer, advice));
    }

    /// As [`Self::issue`], for a value that must not be repeated.
    pub fn silent_issue(&mut self, key: &str, advice: &str) {
        let layer = self.layers.layer(key);
        self.issues.push(Issue::new(key, "", layer, advice));
    }

    pub fn text(&self, key: &str) -> &str {
        match &self.layers.get(key).0 {
            Setting::Text(text) => text,
            other => unreachable!("the defaults: {key} = {other} is read as a text"),
        }
    }

    pub fn boolean(&self, key: &str) -> bool {
        match &self.layers.get(key).0 {
            Setting::Bool(value) => *value,
            other => unreachable!("the defaults: {key} = {other} is read as true or false"),
        }
    }

    pub fn integer<T: TryFrom<i64> + Default>(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> T {
        let value = match &self.layers.get(key).0 {
            Setting::Integer(value) => *value,
            other => {
                unreachable!("the defaults: {key} = {other} is read as a whole number")
            }
        };
        let converted = if range.contains(&value) {
            T::try_from(value).ok()
        } else {
            None
        };
        converted.unwrap_or_else(|| {
            self.issue(
                key,
                &format!("must be from {} to {}", range.start(), range.end()),
            );
            T::default()
        })
    }

    /// Must lie in `range` and be a number.
    pub fn number(&mut self, key: &str, range: RangeInclusive<f64>) -> f64 {
        let value = match &self.layers.get(key).0 {
            Setting::Float(value) => *value,
            other => unreachable!("the defaults: {key} = {other} is read as a number"),
        };
        if !range.contains(&value) {
            self.issue(
                key,
                &format!("must be from {} to {}", range.start(), range.end()),
            );
        }
        value
    }

    pub fn seconds(&mut self, key: &str, min: i64) -> Duration {
        Duration::from_secs(self.integer(key, min..=MAX_SECS.cast_signed()))
    }

    pub fn optional_text(&self, key: &str) -> Option<String> {
        let text = self.text(key).trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub fn required_text(&mut self, key: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| {
            self.issue(key, "must not be empty");
            String::new()
        })
    }

    pub fn address(&mut self, key: &str) -> IpAddr {
        self.text(key).parse().unwrap_or_else(|_| {
            self.issue(key, "must be an IP address, such as 127.0.0.1 or 0.0.0.0");
            IpAddr::from([127, 0, 0, 1])
        })
    }

    pub fn choice<T: Choice>(&mut self, key: &str) -> T {
        let text = self.text(key).to_owned();
        let found = T::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        found.unwrap_or_else(|| {
            let names: Vec<String> = T::ALL.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.issue(key, &format!("must be one of {}", names.join(", ")));
            T::ALL[0].1
        })
    }

    pub fn level(&mut self, key: &str) -> String {
        let text = self.required_text(key);
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&text) {
            self.issue(key, &format!("must be a level such as \"info\", or directives such as \"info,npedit=debug\" ({error})"));
        }
        text
    }
}
