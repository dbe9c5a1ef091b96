//! The rules that `cases.json` gives for comparing; the test has none of its own.
use serde_json::Value;

/// A rule by the family of tensors it is for.
pub struct Tolerances {
    rules: Vec<(String, Value)>,
}

/// What two tensors must satisfy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    bound: Bound,
    /// Least share of equal values, in percent.
    identical_percent: Option<f64>,
    /// The cosine of the angle between both must be above this.
    cosine: Option<f64>,
    /// Only values whose gradient is large enough count.
    counted: Counted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Of the largest difference.
    Absolute(f64),
    /// Of the largest difference as a share of the largest expected value.
    Relative(f64),
}

/// From what gradient on a value counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    above: f64,
    /// Of the tensor's largest gradient.
    above_share: f64,
}

impl Counted {
    pub fn counts(self, gradient: f64, largest: f64) -> bool {
        gradient.abs() > self.above.max(self.above_share * largest)
    }

    /// `where |g| > max(A, S * max|g| ..)`
    fn of_either(text: &str) -> Option<(&str, Self)> {
        let (rule, rest) = text.split_once("where |g| > max(")?;
        let (above, rest) = rest.split_once(',')?;
        let (share, _) = rest.split_once('*')?;
        let counted = Self {
            above: above.trim().parse().ok()?,
            above_share: share.trim().parse().ok()?,
        };
        Some((rule.trim(), counted))
    }
}

/// How far apart two tensors are.
#[derive(Debug)]
pub struct Deviation {
    pub deviation: f64,
    pub tolerance: f64,
    pub ok: bool,
    /// What besides the largest difference was wrong.
    pub note: String,
}

impl Tolerances {
    pub fn new(cases: &Value) -> Self {
        let rules = cases["tolerances"].as_object().into_iter().flatten();
        Self {
            rules: rules
                .map(|(key, rule)| (key.clone(), rule.clone()))
                .collect(),
        }
    }

    /// The rule whose key lists `family`.
    pub fn of(&self, family: &str) -> Result<Rule, String> {
        // a remark may be what tells two rules apart
        let named = |key: &str| {
            let mut names = without_remark(key).split(',');
            key == family || names.any(|name| name.trim() == family)
        };
        let found = self.rules.iter().find(|(key, _)| named(key));
        let (key, rule) = found.ok_or(format!("cases.json has no tolerance for {family:?}"))?;
        match rule {
            Value::Number(bound) => {
                let bound = Bound::Absolute(bound.as_f64().ok_or("not a number")?);
                Ok(Rule {
                    bound,
                    identical_percent: None,
                    cosine: None,
                    counted: Counted::default(),
                })
            }
            Value::String(text) => Rule::parse(text),
            other => Err(format!("the tolerance of {key:?} is {other}")),
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let unreadable = || format!("unreadable tolerance {text:?}");
        if let Some((rule, counted)) = Counted::of_either(text) {
            return Ok(Self {
                counted,
                ..Self::parse(rule)?
            });
        }
        let plain = without_remark(text);
        let mut clauses = plain
            .split(',')
            .map(|clause| clause.split_whitespace().collect::<Vec<_>>());
        let number = |word: &str| word.parse::<f64>().map_err(|_| unreadable());
        let first = clauses.next().ok_or_else(unreadable)?;
        let mut counted = Counted::default();
        let bound = match first[..] {
            // a level of normalised values: they are compared as levels
            ["abs", "1/255/std"] => Bound::Absolute(1.0),
            // where the rule before it said
            ["abs", bound] | ["abs", bound, "there", "too"] => Bound::Absolute(number(bound)?),
            ["abs", bound, "where", "|g|", ">", share, "max|g|"] => {
                counted.above_share = number(share)?;
                Bound::Absolute(number(bound)?)
            }
            ["rel", bound]
            | ["rel", bound, "of", "max|g|"]
            | ["rel", bound, "of", "the", "tensor's", "max", "|g|"] => {
                Bound::Relative(number(bound)?)
            }
            _ => return Err(unreadable()),
        };
        let mut rule = Self {
            bound,
            identical_percent: None,
            cosine: None,
            counted,
        };
        for clause in clauses {
            match clause[..] {
                [">=", percent, "%", "identical"] => {
                    rule.identical_percent = Some(number(percent)?)
                }
                ["cosine", ">", least] => rule.cosine = Some(number(least)?),
                _ => return Err(unreadable()),
            }
        }
        Ok(rule)
    }

    /// Which values count.
    pub fn counted(&self) -> Counted {
        self.counted
    }

    /// Compares flattened tensors of equal length.
    pub fn check(&self, ours: &[f64], theirs: &[f64]) -> Deviation {
        let difference = largest(ours.iter().zip(theirs).map(|(a, b)| a - b));
        let (deviation, tolerance) = match self.bound {
            Bound::Absolute(tolerance) => (difference, tolerance),
            Bound::Relative(tolerance) if difference == 0.0 => (0.0, tolerance),
            Bound::Relative(tolerance) => (difference / largest(theirs.iter().copied()), tolerance),
        };
        let mut note = String::new();
        if let Some(percent) = self.identical_percent {
            let equal = ours.iter().zip(theirs).filter(|(a, b)| a == b).count();
            let found = 100.0 * equal as f64 / theirs.len() as f64;
            if found.is_nan() || found < percent {
                note += &format!(" identical={found:.3}%<{percent}%");
            }
        }
        if let Some(least) = self.cosine {
            let found = cosine(ours, theirs);
            if found.is_nan() || found <= least {
                note += &format!(" cosine={found}<={least}");
            }
        }
        // written so that a NaN fails
        let ok = deviation <= tolerance && note.is_empty();
        Deviation {
            deviation,
            tolerance,
            ok,
            note,
        }
    }
}

/// Without what stands in parentheses at the end.
fn without_remark(text: &str) -> &str {
    text.split_once('(').map_or(text, |(rule, _)| rule)
}

/// Largest magnitude; NaN if any value is.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most: f64, value| {
        if value.is_nan() {
            f64::NAN
        } else {
            most.max(value.abs()) + 0.0 * most
        }
    })
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms == 0.0 && a == b {
        1.0
    } else {
        dot(a, b) / norms
    }
}

#[test]
fn rules_are_read_as_written() {
    let rule = |text| Rule::parse(text).unwrap();
    assert_eq!(rule("rel 1e-4").bound, Bound::Relative(1e-4));
    assert_eq!(
        rule("rel 1e-3 (division by a small mean)").bound,
        Bound::Relative(1e-3)
    );
    let image = rule("abs 1, >= 99.5 % identical");
    assert_eq!(
        (image.bound, image.identical_percent),
        (Bound::Absolute(1.0), Some(99.5))
    );
    let level = rule("abs 1/255/std (one uint8 level) unless the filter is the same");
    assert_eq!(level.bound, Bound::Absolute(1.0));
    assert_eq!(
        rule("rel 5e-4 of the tensor's max |g|, cosine > 0.9").bound,
        Bound::Relative(5e-4)
    );
    let gradient = rule("rel 1e-3 of max|g|, cosine > 0.99999");
    assert_eq!(
        (gradient.bound, gradient.cosine),
        (Bound::Relative(1e-3), Some(0.99999))
    );
    let update = rule("abs 1e-6 where |g| > 1e-4 max|g|");
    assert_eq!(
        (update.bound, update.counted),
        (
            Bound::Absolute(1e-6),
            Counted {
                above: 0.0,
                above_share: 1e-4
            }
        )
    );
    let either = rule("abs 1e-6 where |g| > max(1e-7, 1e-4 * max|g| of that tensor) (a remark)");
    assert_eq!(either.bound, Bound::Absolute(1e-6));
    let counted = either.counted();
    assert!(
        counted.counts(-2e-4, 1.0) && !counted.counts(5e-5, 1.0) && !counted.counts(5e-8, 1e-4)
    );
    for text in [
        "",
        "about 1e-4",
        "rel",
        "rel x",
        "abs 1, mostly identical",
        "abs 1e-6 where it matters",
    ] {
        assert!(Rule::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_rule_can_fail() {
    let check =
        |text, ours: &[f64], theirs: &[f64]| Rule::parse(text).unwrap().check(ours, theirs).ok;
    assert!(check("rel 1e-2", &[100.5, 0.0], &[100.0, 0.1]));
    assert!(!check("rel 1e-3", &[100.5, 0.0], &[100.0, 0.1]));
    assert!(!check("rel 1e-2", &[1e-9], &[0.0]));
    assert!(!check("abs 1e9", &[f64::NAN, 0.0], &[0.0, 0.0]));
    assert!(!check("abs 1e9", &[0.0, f64::NAN, 1.0], &[0.0, 0.0, 1.0]));
    assert!(!check(
        "abs 1, >= 99.5 % identical",
        &[1.0, 2.0],
        &[1.0, 3.0]
    ));
    assert!(!check(
        "rel 2 of max|g|, cosine > 0.9",
        &[1.0, 0.0],
        &[0.0, 1.0]
    ));
    assert!(check("abs 0", &[3.0], &[3.0]));
}

#[test]
fn a_family_is_found_by_its_name() {
    let cases = serde_json::json!({"tolerances": {"ids, masks": 0, "txt, v": "rel 1e-4", "dmd (remark, txt2)": "abs 1",
        "pixels (same)": "abs 2", "pixels (resized)": "abs 3"}});
    let tolerances = Tolerances::new(&cases);
    assert_eq!(tolerances.of("masks").unwrap().bound, Bound::Absolute(0.0));
    assert_eq!(tolerances.of("v").unwrap().bound, Bound::Relative(1e-4));
    assert_eq!(tolerances.of("dmd").unwrap().bound, Bound::Absolute(1.0));
    let resized = tolerances.of("pixels (resized)").unwrap();
    assert_eq!(resized.bound, Bound::Absolute(3.0));
    assert!(tolerances.of("txt2").is_err());
    assert!(tolerances.of("t").is_err());
}
