//! One picture of several rows: reference, the base's edit, the run's edit.
use image::{RgbImage, imageops};

/// Between two pictures, in pixels.
const GAP: u32 = 4;
/// Reference, base, now.
const COLUMNS: u32 = 3;

/// Sizes of the rows' pictures, width and height in pixels; the pictures of a row are equally large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub sizes: Vec<(u32, u32)>,
}

impl Grid {
    /// One row of pictures below the other, on grey.
    pub fn draw(&self, rows: &[[RgbImage; 3]]) -> RgbImage {
        let (width, height) = self.size();
        let mut canvas = RgbImage::from_pixel(width, height, image::Rgb([128; 3]));
        for (row, corners) in rows.iter().zip(self.corners()) {
            for (picture, (x, y)) in row.iter().zip(corners) {
                imageops::replace(&mut canvas, picture, x.into(), y.into());
            }
        }
        canvas
    }

    /// The pictures of `grid` again; `None` where it is a grid of others.
    pub fn cut(&self, grid: &RgbImage) -> Option<Vec<[RgbImage; 3]>> {
        if grid.dimensions() != self.size() {
            return None;
        }
        let cut =
            |(width, height), (x, y)| imageops::crop_imm(grid, x, y, width, height).to_image();
        let rows = self.sizes.iter().zip(self.corners());
        Some(
            rows.map(|(size, corners)| corners.map(|corner| cut(*size, corner)))
                .collect(),
        )
    }

    fn size(&self) -> (u32, u32) {
        let widest = self.sizes.iter().map(|(width, _)| *width).max();
        let height: u32 = self.sizes.iter().map(|(_, height)| height + GAP).sum();
        (COLUMNS * (widest.unwrap_or(0) + GAP) + GAP, height + GAP)
    }

    /// Upper left corners of every row's pictures.
    fn corners(&self) -> Vec<[(u32, u32); 3]> {
        let mut y = GAP;
        let corners = self.sizes.iter().map(|(width, height)| {
            let row = [0, 1, 2].map(|column| (GAP + column * (width + GAP), y));
            y += height + GAP;
            row
        });
        corners.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_what_was_drawn() {
        let grid = Grid {
            sizes: vec![(3, 2), (2, 4)],
        };
        let rows: Vec<[RgbImage; 3]> = grid
            .sizes
            .iter()
            .map(|(width, height)| {
                [10, 20, 30].map(|shade| {
                    RgbImage::from_pixel(*width, *height, image::Rgb([shade + *width as u8; 3]))
                })
            })
            .collect();
        let drawn = grid.draw(&rows);
        assert_eq!(grid.cut(&drawn), Some(rows));
        let other = Grid {
            sizes: vec![(3, 2)],
        };
        assert_eq!(other.cut(&drawn), None);
    }
}
