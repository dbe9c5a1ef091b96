//! The innermost loop of every matrix product: a tile of accumulators held in registers.
//!
//! Operands are packed. A left tile is `[depth][height]`, height consecutive rows; a right panel is `[depth][width]`,
//! [`panel_width`] consecutive columns. Each element of the answer is one chain of fused multiply-adds in the order of
//! depth, whatever tile, panel or thread it falls into: values depend neither on the batch nor on the thread count.
use std::ops::Range;

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
        let place = Place {
            row: self.row,
            column: self.column,
        };
        let sums = place.load::<S, T, H>(simd, rows, start);
        let sums = product::<S, T, H>(simd, self.left, self.right, sums);
        place.store(simd, rows, sums);
    }
}

/// First row and column of a tile within the block.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    column: usize,
}

impl Place {
    #[inline(always)]
    fn span<S: Simd, T: Real>(self, len: usize, v: usize) -> Range<usize> {
        let lanes = T::lanes::<S>();
        let from = (self.column + v * lanes).min(len);
        from..(from + lanes).min(len)
    }

    #[inline(always)]
    fn load<S: Simd, T: Real, const H: usize>(
        self,
        simd: S,
        rows: &[&mut [T]],
        start: Start<'_, T>,
    ) -> Sums<T, S, H> {
        let span = |len, v| self.span::<S, T>(len, v);
        let mut sums = [[T::splat(simd, T::ZERO); PANEL_VECTORS]; H];
        for (i, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                *sum = match start {
                    Start::Zero => *sum,
                    Start::Rows(values) => T::splat(simd, values[self.row + i]),
                    Start::Columns(values) => T::load_some(simd, &values[span(values.len(), v)]),
                    Start::Destination => T::load_some(simd, &rows[i][span(rows[i].len(), v)]),
                };
            }
        }
        sums
    }

    #[inline(always)]
    fn store<S: Simd, T: Real, const H: usize>(
        self,
        simd: S,
        rows: &mut [&mut [T]],
        sums: Sums<T, S, H>,
    ) {
        for (row, sums) in rows.iter_mut().zip(&sums) {
            for (v, sum) in sums.iter().enumerate() {
                let span = self.span::<S, T>(row.len(), v);
                T::store_some(simd, &mut row[span], *sum);
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

/// Adds `left` `[rows][width]`, as it lies, times `right` (panels of `[width][width]`, one after the other) to `rows`.
#[inline(always)]
pub(crate) fn multiply_square<S: Simd, T: Real>(
    simd: S,
    left: &[T],
    right: &[T],
    rows: &mut [&mut [T]],
) {
    let width = panel_width::<S, T>();
    for (row, height) in left_tiles::<S>(rows.len()) {
        let left = &left[row * width..(row + height) * width];
        let rows = &mut rows[row..row + height];
        for (panel, right) in right.chunks_exact(width * width).enumerate() {
            let place = Place {
                row,
                column: panel * width,
            };
            match height {
                12 => square::<S, T, 12>(simd, left, right, (rows, place)),
                6 => square::<S, T, 6>(simd, left, right, (rows, place)),
                4 => square::<S, T, 4>(simd, left, right, (rows, place)),
                3 => square::<S, T, 3>(simd, left, right, (rows, place)),
                2 => square::<S, T, 2>(simd, left, right, (rows, place)),
                _ => square::<S, T, 1>(simd, left, right, (rows, place)),
            }
        }
    }
}

#[inline(always)]
fn square<S: Simd, T: Real, const H: usize>(
    simd: S,
    left: &[T],
    right: &[T],
    (rows, place): (&mut [&mut [T]], Place),
) {
    let width = panel_width::<S, T>();
    let mut sums = place.load::<S, T, H>(simd, rows, Start::Destination);
    let (right, _) = T::vectors::<S>(right);
    let (right, _) = right.as_chunks::<PANEL_VECTORS>();
    let (left, right) = (&left[..H * width], &right[..width]);
    for k in 0..width {
        for i in 0..H {
            let x = T::splat(simd, left[i * width + k]);
            for v in 0..PANEL_VECTORS {
                sums[i][v] = T::mul_add(simd, x, right[k][v], sums[i][v]);
            }
        }
    }
    place.store(simd, rows, sums);
}
