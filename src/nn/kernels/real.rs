//! The two floats the kernels are written for, and their vectors under any instruction set.
use candle_core::WithDType;
use pulp::Simd;

/// A scalar with SIMD vectors.
pub(crate) trait Real: WithDType + Default {
    type Vector<S: Simd>: Copy;
    const ZERO: Self;

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
}

macro_rules! real {
    ($float:ty, $vector:ident, $lanes:ident, $splat:ident, $mul_add:ident, $as:ident, $as_mut:ident, $load:ident, $store:ident) => {
        impl Real for $float {
            type Vector<S: Simd> = S::$vector;
            const ZERO: Self = 0.0;

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
        }
    };
}

real!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_add_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    partial_load_f32s,
    partial_store_f32s
);
real!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_add_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    partial_load_f64s,
    partial_store_f64s
);
