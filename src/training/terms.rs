//! The numbers of a step: means over its items, by name.
use std::collections::BTreeMap;

/// Sums and counts of every term.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms(BTreeMap<&'static str, (f64, usize)>);

impl Terms {
    /// One item's value of `term`.
    pub fn add(&mut self, term: &'static str, value: f64) {
        let (sum, count) = self.0.entry(term).or_default();
        *sum += value;
        *count += 1;
    }

    /// Adds the items of another part of the batch.
    pub fn merge(&mut self, other: Self) {
        for (term, (sum, count)) in other.0 {
            let own = self.0.entry(term).or_default();
            own.0 += sum;
            own.1 += count;
        }
    }

    /// Mean of every term over the items that have it.
    pub fn means(&self) -> BTreeMap<&'static str, f64> {
        let means = self
            .0
            .iter()
            .map(|(term, (sum, count))| (*term, sum / *count as f64));
        means.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_averaged_over_the_items_that_have_it() {
        let mut terms = Terms::default();
        terms.add("dmd", 1.0);
        let mut other = Terms::default();
        other.add("dmd", 3.0);
        other.add("identity", 5.0);
        terms.merge(other);
        assert_eq!(
            terms.means(),
            BTreeMap::from([("dmd", 2.0), ("identity", 5.0)])
        );
    }
}
