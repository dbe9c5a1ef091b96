//! The numbers of a step: means over its items, by name, and what it asked the judge.
use std::collections::BTreeMap;

/// Sums and counts of every term.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    sums: BTreeMap<&'static str, (f64, usize)>,
    judge_calls: u64,
}

impl Terms {
    /// One item's value of `term`.
    pub fn add(&mut self, term: &'static str, value: f64) {
        let (sum, count) = self.sums.entry(term).or_default();
        *sum += value;
        *count += 1;
    }

    /// The judge answered so many questions, each about one edit.
    pub fn asked(&mut self, questions: usize) {
        self.judge_calls += questions as u64;
    }

    /// Questions that the judge answered.
    pub fn judge_calls(&self) -> u64 {
        self.judge_calls
    }

    /// Adds the items of another part of the batch.
    pub fn merge(&mut self, other: Self) {
        for (term, (sum, count)) in other.sums {
            let own = self.sums.entry(term).or_default();
            own.0 += sum;
            own.1 += count;
        }
        self.judge_calls += other.judge_calls;
    }

    /// Mean of every term over the items that have it.
    pub fn means(&self) -> BTreeMap<&'static str, f64> {
        let means = self
            .sums
            .iter()
            .map(|(term, (sum, count))| (*term, sum / *count as f64));
        means.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_averaged_over_the_items_that_have_it_and_questions_are_counted() {
        let mut terms = Terms::default();
        terms.add("dmd", 1.0);
        terms.asked(2);
        let mut other = Terms::default();
        other.add("dmd", 3.0);
        other.add("identity", 5.0);
        other.asked(1);
        terms.merge(other);
        assert_eq!(terms.judge_calls(), 3);
        assert_eq!(
            terms.means(),
            BTreeMap::from([("dmd", 2.0), ("identity", 5.0)])
        );
    }
}
