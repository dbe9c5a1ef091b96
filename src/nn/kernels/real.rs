//! The two floats the kernels are written for, and their vectors under any instruction set.
use std::{cell::Cell, thread::LocalKey};

use candle_core::{CpuStorage, Result, WithDType, backend::BackendStorage, bail};
use pulp::Simd;

/// A scalar with SIMD vectors.
pub(crate) trait Real: WithDType + Default {
    type Vector<S: Simd>: Copy;
    const ZERO: Self;

    /// What [`Scratch`](super::scratch::Scratch) of this thread left.
    fn shelf() -> &'static LocalKey<Cell<Vec<Self>>>;
    /// The numbers of a host storage of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]>;
    fn lanes<S: Simd>() -> usize;
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// `a * b + c`, rounded once.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// Whole vectors, and what is left.
    fn vectors<S: Simd>(x: &[Self]) -> (&[Self::Vector<S>], &[Self]);
    fn vectors_mut<S: Simd>(x: &mut [Self]) -> (&mut [Self::Vector<S>], &mut [Self]);
    /// The first `x.len()` lanes, zeros after them.
    fn load_some<S: Simd>(simd: S, x: &[Self]) -> Self::Vector<S>;
    /// Stores the first `x.len()` lanes.
    fn store_some<S: Simd>(simd: S, x: &mut [Self], value: Self::Vector<S>);

    fn of(x: f64) -> Self;
    /// `self * a + b`, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    fn ln(self) -> Self;
    /// The larger one; `self` where `other` is not a number.
    fn larger(self, other: Self) -> Self;
    /// `2^self` to the last digit or two; zero where the answer would be subnormal. Free of branches, so that loops
    /// over slices become vector code.
    fn exp2(self) -> Self;
    /// The error function: to a few last digits in double precision, in single precision to 4e-7 absolute and as
    /// vector code.
    fn erf(self) -> Self;
}

/// Numerator and denominator of `erf(x) / x` in `x^2` on `[-4, 4]`, highest power first: the rational approximation that
/// Eigen's `generic_fast_erf_float` used up to version 3.4 (`unsupported/Eigen/src/SpecialFunctions`).
const ERF_OVER: [f32; 7] = [
    -2.726_142_3e-10,
    2.770_681_4e-8,
    -2.101_024e-6,
    -5.692_506_4e-5,
    -7.349_906_3e-4,
    -2.954_6e-3,
    -1.609_603_3e-2,
];
const ERF_UNDER: [f32; 5] = [
    -1.456_607_2e-5,
    -2.133_740_6e-4,
    -1.682_827e-3,
    -7.373_329e-3,
    -1.426_474e-2,
];

#[inline(always)]
fn erf_single(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let polynomial = |coefficients: &[f32]| {
        let sum = |sum: f32, coefficient: &f32| sum.mul_add(square, *coefficient);
        coefficients[1..].iter().fold(coefficients[0], sum)
    };
    let inside = x * polynomial(&ERF_OVER) / polynomial(&ERF_UNDER);
    let outside = if x > 0.0 { 1.0 } else { -1.0 };
    if square < 16.0 { inside } else { outside }
}

/// Taylor series of `2^x` around zero, highest power first.
const fn series<const TERMS: usize>() -> [f64; TERMS] {
    let mut series = [1.0; TERMS];
    let mut power = 1;
    while power < TERMS {
        series[TERMS - 1 - power] = series[TERMS - power] * std::f64::consts::LN_2 / power as f64;
        power += 1;
    }
    series
}

macro_rules! real {
    ($float:ty, $storage:ident, $vector:ident, $lanes:ident, $splat:ident, $mul_add:ident, $as:ident, $as_mut:ident, $load:ident, $store:ident, $terms:literal, $erf:path) => {
        impl Real for $float {
            type Vector<S: Simd> = S::$vector;
            const ZERO: Self = 0.0;

            fn shelf() -> &'static LocalKey<Cell<Vec<Self>>> {
                thread_local! {
                    static SHELF: Cell<Vec<$float>> = const { Cell::new(Vec::new()) };
                }
                &SHELF
            }
            fn slice_mut(storage: &mut CpuStorage) -> Result<&mut [Self]> {
                match storage {
                    CpuStorage::$storage(values) => Ok(values),
                    other => bail!("a host kernel was given {:?}", other.dtype()),
                }
            }
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn vectors<S: Simd>(x: &[Self]) -> (&[S::$vector], &[Self]) {
                S::$as(x)
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(x: &mut [Self]) -> (&mut [S::$vector], &mut [Self]) {
                S::$as_mut(x)
            }
            #[inline(always)]
            fn load_some<S: Simd>(simd: S, x: &[Self]) -> S::$vector {
                simd.$load(x)
            }
            #[inline(always)]
            fn store_some<S: Simd>(simd: S, x: &mut [Self], value: S::$vector) {
                simd.$store(x, value)
            }
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $float
            }
            #[inline(always)]
            fn fma(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                <$float>::ln(self)
            }
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if other > self { other } else { self }
            }
            #[inline(always)]
            fn exp2(self) -> Self {
                // adding 1.5 * 2^mantissa rounds to an integer, which then stands in the lowest bits
                const MAGIC: $float = 1.5 / <$float>::EPSILON;
                const MANTISSA: u32 = <$float>::MANTISSA_DIGITS - 1;
                const LEAST: $float = (<$float>::MIN_EXP - 1) as $float;
                const MOST: $float = <$float>::MAX_EXP as $float;
                let x = if self < LEAST { LEAST } else { self };
                let x = if x > MOST { MOST } else { x };
                let shifted = x + MAGIC;
                let fraction = x - (shifted - MAGIC);
                const SERIES: [f64; $terms] = series();
                let mut sum = SERIES[0] as $float;
                for coefficient in &SERIES[1..] {
                    sum = sum.mul_add(fraction, *coefficient as $float);
                }
                let power =
                    <$float>::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << MANTISSA));
                if self < LEAST { 0.0 } else { power }
            }
            #[inline(always)]
            fn erf(self) -> Self {
                $erf(self)
            }
        }
    };
}

real!(
    f32,
    F32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_add_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    partial_load_f32s,
    partial_store_f32s,
    8,
    erf_single
);
real!(
    f64,
    F64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_add_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    partial_load_f64s,
    partial_store_f64s,
    14,
    libm::erf
);
