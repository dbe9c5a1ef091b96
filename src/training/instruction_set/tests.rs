use std::fs;

use super::*;
use crate::pipelines::{image::RgbImage, questions::EditType};

fn limits() -> ImageLimits {
    ImageLimits {
        max_pixels: 1 << 20,
        max_side_px: 1024,
        max_bytes: 1 << 20,
    }
}

/// A folder with `good.png`, `broken.png` and these rows.
fn folder(rows: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    RgbImage::new(4, 4)
        .save(folder.path().join("good.png"))
        .unwrap();
    fs::write(folder.path().join("broken.png"), b"\x89PNG no").unwrap();
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    folder
}

fn read(rows: &str, bad: BadPictures) -> Result<InstructionSet, InstructionSetError> {
    let folder = folder(rows);
    InstructionSet::read(&folder.path().join("rows.jsonl"), &limits(), bad)
}

const GOOD: &str = r#"{"image": "good.png", "instruction": "make it red", "edit_type": "color"}"#;

#[test]
fn rows_are_read_and_hashed_by_what_they_say() {
    let set = read(&format!("{GOOD}\n\n"), BadPictures::Refuse).unwrap();
    assert_eq!(set.rows.len(), 1);
    assert_eq!(set.rows[0].edit_type, EditType::Color);
    let again = read(GOOD, BadPictures::Refuse).unwrap();
    assert_eq!(set.sha256, again.sha256);
    let other = read(&GOOD.replace("red", "blue"), BadPictures::Refuse).unwrap();
    assert_ne!(set.sha256, other.sha256);
}

#[test]
fn every_bad_row_is_named_at_once() {
    let rows = [
        GOOD,
        "{",
        r#"{"image": "good.png", "instruction": " "}"#,
        GOOD,
        r#"{"image": "good.png", "instruction": "a", "colour": "b"}"#,
        r#"{"image": "broken.png", "instruction": "a"}"#,
        r#"{"image": "absent.png", "instruction": "a"}"#,
    ];
    let error = read(&rows.join("\n"), BadPictures::Refuse).unwrap_err();
    let InstructionSetError::Rows { rows: bad, .. } = &error else {
        panic!("{error}")
    };
    let lines: Vec<usize> = bad.iter().map(|row| row.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    let message = error.to_string();
    for part in ["6 bad rows", "as line 1", "colour", "--skip-bad"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn pictures_that_do_not_decode_are_left_out_only_where_asked() {
    let rows = format!("{GOOD}\n{{\"image\": \"broken.png\", \"instruction\": \"a\"}}");
    assert!(read(&rows, BadPictures::Refuse).is_err());
    let set = read(&rows, BadPictures::Skip).unwrap();
    assert_eq!((set.rows.len(), set.skipped[0].line), (1, 2));
}

#[test]
fn a_set_without_rows_is_refused() {
    for rows in ["", "\n \n"] {
        let error = read(rows, BadPictures::Skip).unwrap_err();
        assert!(
            matches!(error, InstructionSetError::Empty { .. }),
            "{error}"
        );
    }
    let missing = InstructionSet::read(Path::new("no.jsonl"), &limits(), BadPictures::Refuse);
    assert!(matches!(
        missing,
        Err(InstructionSetError::Unreadable { .. })
    ));
}
