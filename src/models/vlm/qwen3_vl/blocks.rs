//! Patches in the order of the tokens that they merge into (transformers `Qwen2VLImageProcessor`).
use candle_core::{Result, Tensor};

/// A picture's patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
    /// Patches a side of a token; a divisor of both.
    pub merge: usize,
}

impl Grid {
    /// Rows and columns of tokens.
    pub(super) fn tokens(self) -> (usize, usize) {
        (self.rows / self.merge, self.columns / self.merge)
    }
}

/// Number in reading order of each patch, token by token.
pub(super) fn in_blocks(grid: Grid) -> Vec<u32> {
    let (rows, columns) = grid.tokens();
    let mut order = Vec::with_capacity(grid.rows * grid.columns);
    for (block_row, block_column) in
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
    {
        for inside in 0..grid.merge * grid.merge {
            let row = block_row * grid.merge + inside / grid.merge;
            let column = block_column * grid.merge + inside % grid.merge;
            order.push((row * grid.columns + column) as u32);
        }
    }
    order
}

/// `[3, H, W]` to `[rows * columns, 3 * frames * patch * patch]`, the one picture standing for all frames.
pub(super) fn patches(x: &Tensor, grid: Grid, frames: usize) -> Result<Tensor> {
    let (channels, height, _) = x.dims3()?;
    let (patch, merge) = (height / grid.rows, grid.merge);
    let (rows, columns) = grid.tokens();
    let count = grid.rows * grid.columns;
    x.reshape(&[channels, rows, merge, patch, columns, merge, patch])?
        .permute([1, 4, 2, 5, 0, 3, 6])?
        .contiguous()?
        .reshape((count, channels, 1, patch * patch))?
        .broadcast_as((count, channels, frames, patch * patch))?
        .contiguous()?
        .reshape((count, channels * frames * patch * patch))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn patches_come_token_by_token() {
        let grid = Grid {
            rows: 2,
            columns: 4,
            merge: 2,
        };
        let order = in_blocks(grid);
        assert_eq!(order, [0, 1, 4, 5, 2, 3, 6, 7]);
        // one pixel a patch, numbered in reading order, equal in all channels
        let x = Tensor::arange(0u32, 8, &Device::Cpu).unwrap();
        let x = x
            .reshape((1, 2, 4))
            .unwrap()
            .broadcast_as((3, 2, 4))
            .unwrap();
        let rows = patches(&x.contiguous().unwrap(), grid, 2).unwrap();
        for (row, number) in rows.to_vec2::<u32>().unwrap().into_iter().zip(order) {
            assert_eq!(row, [number; 6]);
        }
    }
}
