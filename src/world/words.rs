//! The closed vocabulary of instructions and captions.

/// Every word that instructions and captions are made of, in order.
pub const WORDS: [&str; 51] = [
    "a",
    "add",
    "an",
    "and",
    "away",
    "background",
    "bigger",
    "black",
    "blue",
    "change",
    "checked",
    "circle",
    "color",
    "delete",
    "draw",
    "empty",
    "enlarge",
    "erase",
    "give",
    "gradient",
    "grayscale",
    "green",
    "greyscale",
    "into",
    "it",
    "larger",
    "left",
    "make",
    "next",
    "object",
    "of",
    "on",
    "paint",
    "picture",
    "plain",
    "purple",
    "put",
    "red",
    "remove",
    "replace",
    "right",
    "square",
    "striped",
    "take",
    "the",
    "to",
    "triangle",
    "turn",
    "white",
    "with",
    "yellow",
];

/// What a judge of the world's edits reads and says besides [`WORDS`] and its answers, in order.
pub const JUDGING_WORDS: [&str; 12] = [
    "changed",
    "clean",
    "corrupt",
    "done",
    "image",
    "large",
    "moved",
    "nothing",
    "same",
    "small",
    "still",
    "unchanged",
];

/// The words of `text` that the world does not know, each once, in lower case. The tiny bundle cannot follow them.
pub fn unknown_words(text: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let word = word.to_lowercase();
        if !word.is_empty()
            && WORDS.binary_search(&word.as_str()).is_err()
            && !unknown.contains(&word)
        {
            unknown.push(word);
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::world::{Edit, EditMix, SceneRng, Telling};

    #[test]
    fn texts_use_every_word_and_no_other() {
        let mut used = BTreeSet::new();
        for index in 0..5000 {
            let edit = Edit::draw(&EditMix::all(), &mut SceneRng::new(2, index));
            let full = edit.after.caption(&Telling::full());
            for text in [
                &edit.instruction,
                &edit.object,
                &edit.edited_caption,
                &edit.source_caption,
                &full,
            ] {
                used.extend(text.split(' ').map(str::to_owned));
            }
        }
        let used: Vec<&str> = used.iter().map(String::as_str).collect();
        assert_eq!(used, WORDS);
    }

    #[test]
    fn unknown_words_are_named_once() {
        assert!(unknown_words("Make the circle blue!").is_empty());
        assert_eq!(unknown_words("make the Sky blue, sky-blue"), ["sky"]);
        assert!(unknown_words("  ").is_empty());
    }
}
