//! The key that a misspelt key was meant to be.

/// Most edits between a misspelt key and the key it was meant to be.
const MAX_EDITS: usize = 3;

/// The known key closest to `key`, unless none is close.
pub(crate) fn nearest<'a>(known: impl Iterator<Item = &'a String>, key: &str) -> Option<&'a str> {
    known
        .map(|candidate| (edits(candidate, key), candidate.as_str()))
        .min()
        .filter(|(edits, _)| *edits <= MAX_EDITS)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known = ["server.host".to_owned(), "server.port".to_owned()];
        assert_eq!(nearest(known.iter(), "server.prot"), Some("server.port"));
        assert_eq!(nearest(known.iter(), "sever.host"), Some("server.host"));
        assert_eq!(nearest(known.iter(), "colour"), None);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
