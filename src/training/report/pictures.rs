//! Before and after: the rows of the first and the last grid.
use std::{io::Cursor, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, RgbImage};

use crate::training::run::Grid;

/// A grid on disk.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub step: u64,
    pub path: PathBuf,
}

/// One column of a row: what it shows, and a `data:` address.
pub(super) type Cell = (String, String);

/// The cells of every row of `grid`: reference, base's edit, then the run's edit at each of `drawn`.
///
/// Grids that cannot be read, or are of other rows, are left out.
pub(super) fn rows(grid: &Grid, drawn: &[Drawn]) -> Vec<Vec<Cell>> {
    let mut rows: Vec<Vec<Cell>> = vec![Vec::new(); grid.sizes.len()];
    for drawn in drawn {
        let read = image::open(&drawn.path).ok();
        let Some(pictures) = read.and_then(|read| grid.cut(&read.to_rgb8())) else {
            continue;
        };
        for (row, [reference, base, now]) in rows.iter_mut().zip(pictures) {
            if row.is_empty() {
                row.push(("reference".into(), address(&reference)));
                row.push(("before training".into(), address(&base)));
            }
            row.push((format!("after step {}", drawn.step), address(&now)));
        }
    }
    rows
}

fn address(picture: &RgbImage) -> String {
    let mut png = Vec::new();
    let written = picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png);
    written.expect("a picture in memory can be written to memory");
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}
