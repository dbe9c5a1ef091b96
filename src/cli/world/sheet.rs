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

/// All of `edits`, in reading order.
pub(super) fn draw(edits: &[Edit], view: &View) -> RgbImage {
    let scale = SHOWN_PX.div_ceil(view.width_px);
    let (across, down) = (scale * view.width_px, scale * view.height_px);
    let (width, height) = (
        2 * across + GAP_PX + MARGIN_PX,
        down + GAP_PX + LINES as u32 * lettering::LINE_PX + MARGIN_PX,
    );
    let rows = edits.len().div_ceil(COLUMNS) as u32;
    let columns = edits.len().min(COLUMNS) as u32;
    let size = (columns * width + MARGIN_PX, rows * height + MARGIN_PX);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, PAPER);
    for (number, edit) in edits.iter().enumerate() {
        let left = MARGIN_PX + (number % COLUMNS) as u32 * width;
        let top = MARGIN_PX + (number / COLUMNS) as u32 * height;
        for (scene, at) in [(&edit.before, left), (&edit.after, left + across + GAP_PX)] {
            let picture = scene.render(view);
            let large = imageops::resize(&picture, across, down, imageops::FilterType::Nearest);
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
