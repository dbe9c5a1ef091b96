//! The innermost loop of every matrix product: a tile of accumulators held in registers.
//!
//! Operands are packed. A left tile is `[depth][height]`, height consecutive rows; a right panel is `[depth][width]`,
//! [`panel_width`] consecutive columns. Each element of the answer is one chain of fused multiply-adds in the order of
//! depth, whatever tile, panel or thread it falls into: values depend neither on the batch nor on the thread count.
use pulp::Simd;

use super::real::Real;

/// Vectors in one row of a tile.
const PANEL_VECTORS: usize = 2;
/// Heights a block of rows is cut into, tallest first.
const HEIGHTS: [usize; 6] = [12, 6, 4, 3, 2, 1];

/// Columns of a right panel.
#[inline(always)]
pub(crate) fn panel_width<S: Simd, T: Real>() -> usize {
    PANEL_VECTORS * T::lanes::<S>()
}

/// `(first row, height)` of each left tile of a block of `rows`.
#[inline(always)]
pub(crate) fn left_tiles<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let tallest = if S::REGISTER_COUNT >= 32 { 12 } else { 6 };
    let mut at = 0;
    std::iter::from_fn(move || {
        let left = rows - at;
        let height = HEIGHTS
            .into_iter()
            .find(|height| *height <= left.min(tallest))?;
        at += height;
        Some((at - height, height))
    })
}

/// Where the accumulators of a tile start.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a, T> {
    /// From zero.
    Zero,
    /// From one value a row (indexed by the row of the block).
    Rows(&'a [T]),
    /// From one value a column (indexed by the column of the block).
    Columns(&'a [T]),
    /// From what the destination holds.
    Destination,
}

/// One left tile against one right panel.
pub(crate) struct Tile<'a, T> {
    /// `[depth][height]`
    pub left: &'a [T],
    /// `[depth][width]`
    pub right: &'a [T],
    /// First row and column within the block.
    pub row: usize,
    pub column: usize,
}

impl<T: Real> Tile<'_, T> {
    /// Adds the product to `rows[row..row + height][column..column + width]`, as far as the rows reach.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(
        &self,
        simd: S,
        height: usize,
        rows: &mut [&mut [T]],
        start: Start<'_, T>,
    ) {
        let rows = &mut rows[self.row..self.row + height];
        match height {
            12 => self.run_height::<S, 12>(simd, rows, start),
            6 => self.run_height::<S, 6>(simd, rows, start),
            4 => self.run_height::<S, 4>(simd, rows, start),
            3 => self.run_height::<S, 3>(simd, rows, start),
            2 => self.run_height::<S, 2>(simd, rows, start),
            _ => self.run_height::<S, 1>(simd, rows, start),
        }
    }

    #[inline(always)]
    fn run_height<S: Simd, const H: usize>(
        &self,
        simd: S,
        rows: &mut [&mut [T]],
        start: Start<'_, T>,
    ) {
        let lanes = T::lanes::<S>();
        let mut sums = [[T::splat(simd, T::ZERO); PANEL_VECTORS]; H];
        let spans = |len: usize, v: usize| {
            let from = (self.column + v * lanes).min(len);
            from..(from + lanes).min(len)
        };
        for (i, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = match start {
                    Start::Zero => *sum,
                    Start::Rows(values) => T::splat(simd, values[self.row + i]),
                    Start::Columns(values) => T::load_some(simd, &values[spans(values.len(), v)]),
                    Start::Destination => T::load_some(simd, &rows[i][spans(rows[i].len(), v)]),
                };
            }
        }
        let sums = product::<S, T, H>(simd, self.left, self.right, sums);
        for (i, row) in sums.iter().enumerate() {
            for (v, sum) in row.iter().enumerate() {
                let span = spans(rows[i].len(), v);
                T::store_some(simd, &mut rows[i][span], *sum);
            }
        }
    }
}

type Sums<T, S, const H: usize> = [[<T as Real>::Vector<S>; PANEL_VECTORS]; H];

#[inline(always)]
fn product<S: Simd, T: Real, const H: usize>(
    simd: S,
    left: &[T],
    right: &[T],
    mut sums: Sums<T, S, H>,
) -> Sums<T, S, H> {
    let (left, _) = left.as_chunks::<H>();
    let (right, _) = T::vectors::<S>(right);
    let (right, _) = right.as_chunks::<PANEL_VECTORS>();
    for (left, right) in left.iter().zip(right) {
        for i in 0..H {
            let x = T::splat(simd, left[i]);
            for v in 0..PANEL_VECTORS {
                sums[i][v] = T::mul_add(simd, x, right[v], sums[i][v]);
            }
        }
    }
    sums
}

/// A packed left operand: the tiles of [`left_tiles`] one after the other, each over the whole depth.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a, T> {
    pub packed: &'a [T],
    pub depth: usize,
    /// The part of the depth to multiply.
    pub from: usize,
    pub to: usize,
}

/// Every left tile against every panel of `right` (each `[to - from][width]`), into `rows` from `column` on.
#[inline(always)]
pub(crate) fn multiply<S: Simd, T: Real>(
    simd: S,
    left: Left<'_, T>,
    right: &[T],
    (rows, column): (&mut [&mut [T]], usize),
    start: Start<'_, T>,
) {
    let Left {
        packed,
        depth,
        from,
        to,
    } = left;
    let width = panel_width::<S, T>();
    for (row, height) in left_tiles::<S>(rows.len()) {
        let left = &packed[row * depth + from * height..row * depth + to * height];
        for (panel, right) in right.chunks_exact((to - from) * width).enumerate() {
            let tile = Tile {
                left,
                right,
                row,
                column: column + panel * width,
            };
            tile.run(simd, height, rows, start);
        }
    }
}
