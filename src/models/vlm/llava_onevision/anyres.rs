//! How a single picture is cut into tiles, and which of their features show it (transformers `LlavaOnevisionImageProcessor`
//! and `pack_image_features`; arXiv 2408.03326, section 3.2).

/// Height and width.
pub(super) type Size = (usize, usize);

/// More features than this many times the allowed ones, by side, are shrunk.
const TOLERATED: f64 = 1.1;

/// What a model allows.
#[derive(Clone, Debug)]
pub(super) struct Anyres {
    /// Sizes that tiles may cover together, in pixels.
    pub canvases: Vec<Size>,
    /// Side of a tile in pixels.
    pub tile: usize,
    /// Side of a tile in patches.
    pub side: usize,
    /// Tiles whose features are kept at full resolution.
    pub most: usize,
}

/// One picture's way through the tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// What the tiles cover, in pixels.
    pub canvas: Size,
    /// The resized picture in the canvas' centre, in pixels.
    pub picture: Size,
    /// Rows and columns of tiles.
    pub tiles: Size,
    /// First row and column of patches that show the picture.
    pub first: Size,
    /// Rows and columns of patches that show it.
    pub shown: Size,
    /// What those are shrunk to.
    pub kept: Size,
}

impl Anyres {
    pub(super) fn layout(&self, size: Size) -> Layout {
        let canvas = self.canvas(size);
        let tiles = (canvas.0 / self.tile, canvas.1 / self.tile);
        let grid = (tiles.0 * self.side, tiles.1 * self.side);
        let first = margins(size, grid);
        let shown = (grid.0 - 2 * first.0, grid.1 - 2 * first.1);
        Layout {
            canvas,
            picture: fitted(size, canvas),
            tiles,
            first,
            shown,
            kept: self.shrunk(shown),
        }
    }

    /// The canvas that keeps most of the picture's pixels, and of those the one that wastes least.
    fn canvas(&self, (height, width): Size) -> Size {
        let merit = |canvas: &Size| {
            let scale = ratio(canvas.1, width).min(ratio(canvas.0, height));
            let scaled = |side: usize| (side as f64 * scale) as usize;
            let used = (scaled(width) * scaled(height)).min(width * height);
            (used, std::cmp::Reverse(canvas.0 * canvas.1 - used))
        };
        // the first of equals, where `max_by_key` would take the last
        let best = self
            .canvases
            .iter()
            .rev()
            .max_by_key(|canvas| merit(canvas));
        best.copied().unwrap_or((self.tile, self.tile))
    }

    fn shrunk(&self, (rows, columns): Size) -> Size {
        let allowed = (self.most * self.side * self.side) as f64;
        let ratio = ((rows * columns) as f64 / allowed).sqrt();
        if ratio <= TOLERATED {
            return (rows, columns);
        }
        let less = |count: usize| {
            // Python's floor division, which divides what is left after the remainder
            let count = count as f64;
            (((count - count % ratio) / ratio).round() as usize).max(1)
        };
        (less(rows), less(columns))
    }
}

/// The largest size of the same shape that fits.
fn fitted((height, width): Size, canvas: Size) -> Size {
    let (across, down) = (ratio(canvas.1, width), ratio(canvas.0, height));
    let scaled = |side: usize, scale: f64| (side as f64 * scale).ceil() as usize;
    if across < down {
        (scaled(height, across).min(canvas.0), canvas.1)
    } else {
        (canvas.0, scaled(width, down).min(canvas.1))
    }
}

/// Rows above and columns left of the picture in a grid that it was centred in.
fn margins((height, width): Size, (rows, columns): Size) -> Size {
    let inside = |side: usize, scale: f64| {
        let exact = side as f64 * scale;
        ((exact * 1e7).round() / 1e7) as usize
    };
    if ratio(width, height) > ratio(columns, rows) {
        let used = inside(height, ratio(columns, width));
        ((rows - used) / 2, 0)
    } else {
        let used = inside(width, ratio(rows, height));
        (0, (columns - used) / 2)
    }
}

fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Height, width, canvas, resized picture, and tokens with base and newlines, as transformers 5.23 gives them.
    const PUBLISHED: [[usize; 7]; 20] = [
        [480, 640, 768, 768, 576, 768, 2929],
        [1024, 1024, 1152, 1152, 1152, 1152, 7371],
        [720, 1280, 768, 1536, 768, 1366, 5967],
        [33, 47, 384, 384, 270, 384, 1261],
        [16, 16, 384, 384, 384, 384, 1485],
        [112, 48, 384, 384, 384, 165, 1053],
        [5000, 4000, 2304, 1920, 2304, 1844, 7299],
        [200, 3000, 384, 2304, 154, 2304, 2522],
        [106, 377, 384, 384, 108, 384, 925],
        [2060, 2372, 2304, 2304, 2001, 2304, 7329],
        [638, 793, 768, 1152, 768, 955, 4401],
        [2175, 1069, 2304, 1152, 2304, 1133, 7284],
        [697, 2072, 768, 2304, 768, 2284, 7309],
        [657, 1034, 768, 1152, 732, 1152, 4993],
        [1616, 1382, 1920, 1536, 1797, 1536, 7254],
        [1046, 2039, 1152, 2304, 1152, 2246, 7227],
        [2482, 485, 2304, 768, 2304, 451, 6075],
        [2202, 156, 2304, 384, 2304, 164, 2673],
        [1404, 701, 1536, 768, 1536, 767, 6669],
        [519, 1650, 768, 1920, 604, 1920, 6441],
    ];

    #[test]
    fn layouts_are_the_published_processors() {
        let sides = || (1..=6).map(|tiles| tiles * 384);
        let canvases = sides().flat_map(|height| sides().map(move |width| (height, width)));
        let anyres = Anyres {
            canvases: canvases.collect(),
            tile: 384,
            side: 27,
            most: 9,
        };
        for [
            height,
            width,
            canvas_h,
            canvas_w,
            picture_h,
            picture_w,
            tokens,
        ] in PUBLISHED
        {
            let layout = anyres.layout((height, width));
            assert_eq!(layout.canvas, (canvas_h, canvas_w), "{height}x{width}");
            assert_eq!(layout.picture, (picture_h, picture_w), "{height}x{width}");
            let (rows, columns) = layout.kept;
            assert_eq!(rows * (columns + 1) + 27 * 27, tokens, "{height}x{width}");
        }
    }
}
