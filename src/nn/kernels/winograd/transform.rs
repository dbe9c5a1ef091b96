//! The one-dimensional transforms of F(4, 3) for the points 0, 1, -1, 2, -2 and infinity (arXiv 1509.09308).
//!
//! Each is applied along the rows and then along the columns of a tile, a vector of tiles at a time.
use pulp::Simd;

use crate::nn::kernels::real::Real;

/// Side of the input tile, of the output tile and of the window.
pub(super) const IN: usize = 6;
pub(super) const OUT: usize = 4;
pub(super) const WINDOW: usize = 3;
/// Products of one tile.
pub(super) const POINTS: usize = IN * IN;

/// Scaled sums of vectors.
#[derive(Clone, Copy)]
struct Sum<S, T> {
    simd: S,
    _float: std::marker::PhantomData<T>,
}

impl<S: Simd, T: Real> Sum<S, T> {
    fn new(simd: S) -> Self {
        Self {
            simd,
            _float: std::marker::PhantomData,
        }
    }

    /// `factor a + b`
    #[inline(always)]
    fn of(&self, factor: f64, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        T::mul_add(self.simd, T::splat(self.simd, T::of(factor)), a, b)
    }
}

#[inline(always)]
fn input<S: Simd, T: Real>(simd: S, d: [T::Vector<S>; IN]) -> [T::Vector<S>; IN] {
    let sum = Sum::<S, T>::new(simd);
    let (even, odd) = (sum.of(-4.0, d[2], d[4]), sum.of(-4.0, d[1], d[3]));
    let (even2, odd2) = (sum.of(-1.0, d[2], d[4]), sum.of(-1.0, d[1], d[3]));
    [
        sum.of(4.0, d[0], sum.of(-5.0, d[2], d[4])),
        sum.of(1.0, odd, even),
        sum.of(-1.0, odd, even),
        sum.of(2.0, odd2, even2),
        sum.of(-2.0, odd2, even2),
        sum.of(4.0, d[1], sum.of(-5.0, d[3], d[5])),
    ]
}

#[inline(always)]
fn output<S: Simd, T: Real>(simd: S, m: [T::Vector<S>; IN]) -> [T::Vector<S>; OUT] {
    let sum = Sum::<S, T>::new(simd);
    let (even, odd) = (sum.of(1.0, m[2], m[1]), sum.of(-1.0, m[2], m[1]));
    let (even2, odd2) = (sum.of(1.0, m[4], m[3]), sum.of(-1.0, m[4], m[3]));
    [
        sum.of(1.0, m[0], sum.of(1.0, even2, even)),
        sum.of(2.0, odd2, odd),
        sum.of(4.0, even2, even),
        sum.of(1.0, m[5], sum.of(8.0, odd2, odd)),
    ]
}

/// Window values to points.
#[inline(always)]
fn window<T: Real>([a, b, c]: [T; WINDOW]) -> [T; IN] {
    let [quarter, sixth, twelfth] = [0.25, 1.0 / 6.0, 1.0 / 12.0].map(T::of);
    let (outer, outer2) = ((a + c) * sixth, (a * quarter + c) * sixth);
    [
        a * quarter,
        T::ZERO - outer - b * sixth,
        b * sixth - outer,
        outer2 + b * twelfth,
        outer2 - b * twelfth,
        c,
    ]
}

/// `[row][column]` of a window to its points.
#[inline(always)]
pub(super) fn window_points<T: Real>(g: &[T; WINDOW * WINDOW]) -> [T; POINTS] {
    let rows: [[T; IN]; WINDOW] =
        std::array::from_fn(|column| window(std::array::from_fn(|row| g[row * WINDOW + column])));
    let mut points = [T::ZERO; POINTS];
    for (i, points) in points.chunks_exact_mut(IN).enumerate() {
        points.copy_from_slice(&window([rows[0][i], rows[1][i], rows[2][i]]));
    }
    points
}

/// Tiles `[IN][IN][vectors]` to points, `store(point, vector index, value)`.
#[inline(always)]
pub(super) fn input_points<S: Simd, T: Real>(
    simd: S,
    tiles: &[T::Vector<S>],
    mut store: impl FnMut(usize, usize, T::Vector<S>),
) {
    let vectors = tiles.len() / POINTS;
    for v in 0..vectors {
        let mut half = [[T::splat(simd, T::ZERO); IN]; IN];
        for column in 0..IN {
            let d = std::array::from_fn(|row| tiles[(row * IN + column) * vectors + v]);
            for (half, value) in half.iter_mut().zip(input::<S, T>(simd, d)) {
                half[column] = value;
            }
        }
        for (row, half) in half.into_iter().enumerate() {
            for (column, value) in input::<S, T>(simd, half).into_iter().enumerate() {
                store(row * IN + column, v, value);
            }
        }
    }
}

/// Points `load(point, vector index)` to tiles `[OUT][OUT][vectors]`, each raised by `bias`.
#[inline(always)]
pub(super) fn output_tiles<S: Simd, T: Real>(
    simd: S,
    bias: T,
    tiles: &mut [T::Vector<S>],
    load: impl Fn(usize, usize) -> T::Vector<S>,
) {
    let vectors = tiles.len() / (OUT * OUT);
    let bias = T::splat(simd, bias);
    let one = T::splat(simd, T::one());
    for v in 0..vectors {
        let mut half = [[T::splat(simd, T::ZERO); IN]; OUT];
        for column in 0..IN {
            let m = std::array::from_fn(|row| load(row * IN + column, v));
            for (half, value) in half.iter_mut().zip(output::<S, T>(simd, m)) {
                half[column] = value;
            }
        }
        for (row, half) in half.into_iter().enumerate() {
            for (column, value) in output::<S, T>(simd, half).into_iter().enumerate() {
                tiles[(row * OUT + column) * vectors + v] = T::mul_add(simd, value, one, bias);
            }
        }
    }
}
