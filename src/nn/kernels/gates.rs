//! The activations as functions of numbers, with their derivatives.
use super::{elementwise::Function, real::Real};

/// `1 / (1 + e^-x)`
#[inline(always)]
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (x * T::of(-std::f64::consts::LOG2_E)).exp2())
}

/// `x sigmoid(x)`
#[derive(Clone, Copy)]
pub(crate) struct Silu;

/// Gradient of [`Silu`]: `[x, gradient of the answer]`.
#[derive(Clone, Copy)]
pub(crate) struct SiluBackward;

/// `silu(gate) up`: `[gate, up]`
#[derive(Clone, Copy)]
pub(crate) struct SiluMul;

/// Gradient of the gate of [`SiluMul`]: `[gate, up, gradient of the answer]`.
#[derive(Clone, Copy)]
pub(crate) struct SiluMulGate;

/// `x + y`
#[derive(Clone, Copy)]
pub(crate) struct Sum;

/// `sqrt(2 / pi)` and the cubic coefficient of the tanh form of GELU.
const GELU: [f64; 2] = [0.797_884_560_802_865_4, 0.044_715];

/// GELU in its tanh form, which is `x sigmoid(2 u)`, `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
#[derive(Clone, Copy)]
pub(crate) struct Gelu;

/// Gradient of [`Gelu`]: `[x, gradient of the answer]`.
#[derive(Clone, Copy)]
pub(crate) struct GeluBackward;

/// GELU in its exact form, `x/2 (1 + erf(x / sqrt(2)))`.
#[derive(Clone, Copy)]
pub(crate) struct GeluErf;

/// Gradient of [`GeluErf`]: `[x, gradient of the answer]`.
#[derive(Clone, Copy)]
pub(crate) struct GeluErfBackward;

/// The normal distribution's share below `x`.
#[inline(always)]
fn below<T: Real>(x: T) -> T {
    T::of(0.5) * (T::one() + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// Derivative of [`Silu`].
#[inline(always)]
pub(super) fn silu_slope<T: Real>(x: T) -> T {
    let s = sigmoid(x);
    s * (T::one() + x * (T::one() - s))
}

impl Function<2> for Sum {
    #[inline(always)]
    fn value<T: Real>(self, [x, y]: [T; 2]) -> T {
        x + y
    }
}

impl Function<1> for Silu {
    #[inline(always)]
    fn value<T: Real>(self, [x]: [T; 1]) -> T {
        x * sigmoid(x)
    }
}

impl Function<2> for SiluBackward {
    #[inline(always)]
    fn value<T: Real>(self, [x, grad]: [T; 2]) -> T {
        grad * silu_slope(x)
    }
}

impl Function<2> for SiluMul {
    #[inline(always)]
    fn value<T: Real>(self, [gate, up]: [T; 2]) -> T {
        gate * sigmoid(gate) * up
    }
}

impl Function<3> for SiluMulGate {
    #[inline(always)]
    fn value<T: Real>(self, [gate, up, grad]: [T; 3]) -> T {
        grad * up * silu_slope(gate)
    }
}

impl Function<1> for Gelu {
    #[inline(always)]
    fn value<T: Real>(self, [x]: [T; 1]) -> T {
        let [root, cubic] = GELU.map(T::of);
        x * sigmoid((root + root) * (x + cubic * x * x * x))
    }
}

impl Function<2> for GeluBackward {
    #[inline(always)]
    fn value<T: Real>(self, [x, grad]: [T; 2]) -> T {
        let [root, cubic] = GELU.map(T::of);
        let double = root + root;
        let s = sigmoid(double * (x + cubic * x * x * x));
        let slope = double * (T::one() + T::of(3.0) * cubic * x * x);
        grad * (s + x * s * (T::one() - s) * slope)
    }
}

impl Function<1> for GeluErf {
    #[inline(always)]
    fn value<T: Real>(self, [x]: [T; 1]) -> T {
        x * below(x)
    }
}

impl Function<2> for GeluErfBackward {
    #[inline(always)]
    fn value<T: Real>(self, [x, grad]: [T; 2]) -> T {
        const DENSITY: f64 = 0.398_942_280_401_432_7; // 1 / sqrt(2 pi)
        let density = (x * x * T::of(-0.5 * std::f64::consts::LOG2_E)).exp2();
        grad * (below(x) + x * T::of(DENSITY) * density)
    }
}
