//! Values that are kept while there is room for them.
use std::{collections::HashMap, hash::Hash};

/// Values by key; the least recently used ones go once all together are over the budget.
///
/// Looks at every entry to find the one to drop: meant for few and large values.
#[derive(Debug)]
pub struct ByteLru<K, V> {
    entries: HashMap<K, Entry<V>>,
    bytes: usize,
    budget: usize,
    /// Number of uses so far.
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> ByteLru<K, V> {
    /// A budget of 0 keeps nothing.
    pub fn new(budget: usize) -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
            budget,
            clock: 0,
        }
    }

    pub fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Keeps a value of so many bytes, unless it alone is over the budget.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        if bytes > self.budget {
            return;
        }
        self.clock += 1;
        let used = self.clock;
        let entry = Entry { value, bytes, used };
        let replaced = self.entries.insert(key, entry);
        self.bytes -= replaced.map_or(0, |replaced| replaced.bytes);
        self.bytes += bytes;
        while self.bytes > self.budget && self.drop_oldest() {}
    }

    /// Whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else {
            return false;
        };
        let dropped = self.entries.remove(&key);
        self.bytes -= dropped.map_or(0, |dropped| dropped.bytes);
        true
    }

    /// Values that are kept.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of everything that is kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let mut kept = ByteLru::new(10);
        for key in ["a", "b"] {
            kept.insert(key, key, 4);
        }
        assert_eq!(kept.get(&"a"), Some("a"));
        kept.insert("c", "c", 6);
        assert_eq!((kept.get(&"b"), kept.get(&"a")), (None, Some("a")));
        assert_eq!(kept.bytes(), 10);
        kept.insert("c", "d", 1);
        assert_eq!((kept.get(&"c"), kept.bytes()), (Some("d"), 5));
        kept.insert("e", "e", 11);
        assert_eq!((kept.get(&"e"), kept.bytes()), (None, 5));
        let mut nothing = ByteLru::new(0);
        nothing.insert("a", 1, 1);
        assert_eq!(nothing.get(&"a"), None);
    }
}
