//! What was compared, how it went, and what nobody looked at.
use std::collections::BTreeSet;

use candle_core::{DType, Tensor};

use crate::{golden::Variant, tolerance::Tolerances};

/// What a part's code gives when it cannot even compare.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The account of one variant.
pub struct Ledger<'a> {
    variant: &'a Variant,
    tolerances: Tolerances,
    outputs: usize,
    /// Recorded outputs that nobody compared or skipped yet.
    open: BTreeSet<String>,
    compared: usize,
    failures: Vec<String>,
}

impl<'a> Ledger<'a> {
    pub fn new(variant: &'a Variant) -> Self {
        let open = variant.outputs();
        Self {
            variant,
            tolerances: Tolerances::new(&variant.cases),
            outputs: open.len(),
            open,
            compared: 0,
            failures: Vec::new(),
        }
    }

    /// Whether this output is recorded and still to be compared.
    pub fn wants(&self, name: &str) -> bool {
        self.open.contains(name)
    }

    /// Whether any output below `prefix` is still to be compared.
    pub fn wants_below(&self, prefix: &str) -> bool {
        self.open.iter().any(|name| name.starts_with(prefix))
    }

    /// Compares a recorded tensor by the rule of its family.
    pub fn tensor(&mut self, name: &str, ours: &Tensor, family: &str) -> Result<(), Failure> {
        let theirs = self.variant.tensor(name)?;
        if ours.dims() != theirs.dims() {
            self.fail(
                name,
                &format!("shape {:?}, recorded {:?}", ours.dims(), theirs.dims()),
            );
            return Ok(());
        }
        let (ours, theirs) = (values(ours)?, values(theirs)?);
        self.values(name, &ours, &theirs, family);
        Ok(())
    }

    /// Compares values with recorded ones by the rule of their family.
    pub fn values(&mut self, name: &str, ours: &[f64], theirs: &[f64], family: &str) {
        if ours.len() != theirs.len() {
            self.fail(
                name,
                &format!("{} values, recorded {}", ours.len(), theirs.len()),
            );
            return;
        }
        let rule = match self.tolerances.of(family) {
            Ok(rule) => rule,
            Err(reason) => return self.fail(name, &reason),
        };
        let result = rule.check(ours, theirs);
        let verdict = if result.ok { "ok" } else { "FAIL" };
        let (deviation, tolerance) = (result.deviation, result.tolerance);
        let numbers = format!(
            "dev={deviation:.3e} tol={tolerance:e} {verdict}{}",
            result.note
        );
        self.close(name);
        if result.ok {
            self.say(name, &numbers);
        } else {
            self.record_failure(name, &numbers);
        }
    }

    /// As [`Self::values`], of values whose gradient is not tiny: a first step of AdamW without momentum is the sign of it.
    pub fn values_where(
        &mut self,
        name: &str,
        (ours, theirs): (&[f64], &[f64]),
        gradients: &[f64],
        family: &str,
    ) {
        // what holds for the first step says which values count in every step
        let first = self.tolerances.of("after1");
        let rule = match first.or_else(|_| self.tolerances.of("after_adamw1")) {
            Ok(rule) => rule.counted(),
            Err(reason) => return self.fail(name, &reason),
        };
        let most = gradients
            .iter()
            .fold(0.0, |most: f64, grad| most.max(grad.abs()));
        let counted = |values: &[f64]| -> Vec<f64> {
            let values = values.iter().zip(gradients);
            let counted = values.filter(|(_, grad)| rule.counts(**grad, most));
            counted.map(|(value, _)| *value).collect()
        };
        if ours.len() != theirs.len() || ours.len() != gradients.len() {
            return self.fail(name, "another number of values than recorded");
        }
        self.values(name, &counted(ours), &counted(theirs), family);
    }

    /// Compares texts, which must be equal.
    pub fn texts(&mut self, name: &str, ours: &[String], theirs: &[String]) {
        let share = |equal: bool| [f64::from(u8::from(equal))];
        let family = "templated text";
        self.values(name, &share(ours == theirs), &share(true), family);
    }

    /// Leaves an output out, and says why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        if self.open.remove(name) {
            self.say(name, &format!("skipped({reason})"));
        }
    }

    /// Leaves out everything below `prefix` that is still open.
    pub fn skip_below(&mut self, prefix: &str, reason: &str) {
        let names: Vec<_> = self
            .open
            .iter()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect();
        for name in names {
            self.skip(&name, reason);
        }
    }

    /// Records that a whole group could not be compared.
    pub fn broken(&mut self, group: &str, error: &Failure) {
        self.record_failure(group, &format!("FAIL {error}"));
    }

    /// Prints the last line. What is left of each failure starts with its part; an output that nobody
    /// compared or skipped is one.
    pub fn finish(mut self) -> Vec<String> {
        for name in std::mem::take(&mut self.open) {
            self.record_failure(&name, "FAIL nobody compared it");
        }
        println!(
            "parity {} compared {} of {}",
            self.variant.name, self.compared, self.outputs
        );
        self.failures
    }

    fn fail(&mut self, name: &str, reason: &str) {
        self.close(name);
        self.record_failure(name, &format!("FAIL {reason}"));
    }

    fn close(&mut self, name: &str) {
        if self.open.remove(name) {
            self.compared += 1;
        }
    }

    fn record_failure(&mut self, name: &str, what: &str) {
        self.say(name, what);
        self.failures.push(format!("{} {what}", self.title(name)));
    }

    fn say(&self, name: &str, what: &str) {
        println!("parity {} {} {what}", self.variant.name, self.title(name));
    }

    /// `out.edit.s4.fa4.ddim.v` to `edit s4 fa4.ddim.v`.
    fn title(&self, name: &str) -> String {
        let name = name.strip_prefix("out.").unwrap_or(name);
        match name.strip_prefix("schedule.") {
            Some(rest) => format!("edit schedule {rest}"),
            None => name.replacen('.', " ", 2),
        }
    }
}

/// All values in row-major order.
pub fn values(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}
