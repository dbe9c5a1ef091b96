//! The size that a picture is brought to (transformers `smart_resize`, which Qwen2-VL began).

/// Whole tokens a side, and a number of pixels between two limits.
#[derive(Clone, Debug)]
pub(super) struct SmartResize {
    /// Pixels a side of one token.
    pub factor: usize,
    /// Pixels of a picture.
    pub fewest: usize,
    /// Pixels of a picture.
    pub most: usize,
}

impl SmartResize {
    /// Height and width of a picture of that height and width.
    pub(super) fn size(&self, (height, width): (usize, usize)) -> (usize, usize) {
        let factor = self.factor as f64;
        let tokens = |count: f64| count as usize * self.factor;
        let nearest = |side: usize| tokens((side as f64 / factor).round_ties_even());
        let size = (nearest(height), nearest(width));
        let area = (height * width) as f64;
        if size.0 * size.1 > self.most {
            let scale = (area / self.most as f64).sqrt();
            let below = |side: usize| tokens((side as f64 / scale / factor).floor());
            return (
                below(height).max(self.factor),
                below(width).max(self.factor),
            );
        }
        if size.0 * size.1 < self.fewest {
            let scale = (self.fewest as f64 / area).sqrt();
            let above = |side: usize| tokens((side as f64 * scale / factor).ceil());
            return (above(height), above(width));
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Height and width before and after, by transformers 5.23.
    const PUBLISHED: [[usize; 4]; 18] = [
        [480, 640, 480, 640],
        [1024, 1024, 1024, 1024],
        [720, 1280, 704, 1280],
        [33, 47, 224, 320],
        [16, 16, 256, 256],
        [80, 80, 256, 256],
        [112, 48, 416, 192],
        [5000, 4000, 4576, 3648],
        [200, 3000, 192, 3008],
        [1, 1, 256, 256],
        [106, 377, 160, 512],
        [2060, 2372, 2048, 2368],
        [638, 793, 640, 800],
        [2175, 1069, 2176, 1056],
        [697, 2072, 704, 2080],
        [657, 1034, 672, 1024],
        [1616, 1382, 1600, 1376],
        [232, 88, 416, 160],
    ];

    #[test]
    fn sizes_are_the_published_processors() {
        let resize = SmartResize {
            factor: 32,
            fewest: 1 << 16,
            most: 1 << 24,
        };
        for [height, width, to_height, to_width] in PUBLISHED {
            let size = resize.size((height, width));
            assert_eq!(size, (to_height, to_width), "{height}x{width}");
        }
        let smaller = SmartResize {
            most: 1 << 20,
            ..resize
        };
        assert_eq!(smaller.size((5000, 4000)), (1120, 896));
        assert_eq!(smaller.size((2175, 1069)), (1440, 704));
    }
}
