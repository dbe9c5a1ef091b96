//! One picture of many edits: before, after, and the instruction below.
use image::{Rgb, RgbImage, imageops};

use super::lettering;
use crate::world::{Edit, View};

const COLUMNS: usize = 4;
/// Least side of a picture on the sheet, in pixels.
const SHOWN_PX: u32 = 128;
const GAP_PX: u32 = 4;
const MARGIN_PX: u32 = 12;
/// Lines of an instruction.
const LINES: usize = 2;
const PAPER: Rgb<u8> = Rgb([255; 3]);

/// All of `edits` in reading order, each before and after.
pub(super) fn draw(edits: &[Edit], view: &View) -> RgbImage {
    let rows = edits.iter();
    let rows = rows.map(|edit| vec![edit.before.render(view), edit.after.render(view)]);
    laid_out(edits, &rows.collect::<Vec<_>>(), view)
}

/// All of `edits` in reading order: the reference, the truth, and what came out.
pub(super) fn outputs(edits: &[Edit], outputs: &[RgbImage], view: &View) -> RgbImage {
    let rows = edits.iter().zip(outputs).map(|(edit, output)| {
        vec![
            edit.before.render(view),
            edit.after.render(view),
            output.clone(),
        ]
    });
    laid_out(edits, &rows.collect::<Vec<_>>(), view)
}

/// The pictures of each edit side by side, its instruction below.
fn laid_out(edits: &[Edit], pictures: &[Vec<RgbImage>], view: &View) -> RgbImage {
    let each = pictures.first().map_or(0, Vec::len) as u32;
    let scale = SHOWN_PX.div_ceil(view.width_px);
    let (across, down) = (scale * view.width_px, scale * view.height_px);
    let (width, height) = (
        each * (across + GAP_PX) + MARGIN_PX - GAP_PX,
        down + GAP_PX + LINES as u32 * lettering::LINE_PX + MARGIN_PX,
    );
    let rows = edits.len().div_ceil(COLUMNS) as u32;
    let columns = edits.len().min(COLUMNS) as u32;
    let size = (columns * width + MARGIN_PX, rows * height + MARGIN_PX);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (number, (edit, pictures)) in edits.iter().zip(pictures).enumerate() {
        let left = MARGIN_PX + (number % COLUMNS) as u32 * width;
        let top = MARGIN_PX + (number / COLUMNS) as u32 * height;
        for (at, picture) in pictures.iter().enumerate() {
            let large = imageops::resize(picture, across, down, imageops::FilterType::Nearest);
            let at = left + at as u32 * (across + GAP_PX);
            imageops::replace(&mut sheet, &large, i64::from(at), i64::from(top));
        }
        let lines = wrapped(&edit.instruction, (width / lettering::ADVANCE_PX) as usize);
        for (line, text) in lines.iter().take(LINES).enumerate() {
            let below = top + down + GAP_PX + line as u32 * lettering::LINE_PX;
            lettering::write(&mut sheet, text, (left, below));
        }
    }
    sheet
}

/// `text` in lines of at most `max` letters; a longer word has a line of its own.
fn wrapped(text: &str, max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            *line = word.to_owned();
        } else if line.len() + 1 + word.len() <= max {
            *line = format!("{line} {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("make it blue", 7), ["make it", "blue"]);
        assert_eq!(wrapped("make it blue", 40), ["make it blue"]);
    }
}
