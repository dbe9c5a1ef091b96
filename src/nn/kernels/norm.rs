//! Normalisation, forward and backward: rows of a matrix (rms, layer) or groups of channels.
//!
//! Both are the same per block of numbers: `value = (x - mean) * inverse * weight + bias`. Sums run over a fixed number
//! of lanes in a fixed order.
use super::{gates, real::Real};

const LANES: usize = 16;
/// Numbers whose moments are taken at a time: they stay in the first-level cache.
const PART: usize = 2048;

/// `sum f(x, y)` over two slices of one length.
#[inline(always)]
pub(super) fn sum2<T: Real>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let (x_lanes, x_rest) = x.as_chunks::<LANES>();
    let (y_lanes, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [T::ZERO; LANES];
    for (x, y) in x_lanes.iter().zip(y_lanes) {
        for lane in 0..LANES {
            sums[lane] += f(x[lane], y[lane]);
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
        *sum += f(*x, *y);
    }
    let mut total = T::ZERO;
    for sum in sums {
        total += sum;
    }
    total
}

/// `sum f(x)`
#[inline(always)]
pub(super) fn sum1<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    sum2(x, x, |x, _| f(x))
}

/// What a block is normalised by.
#[derive(Clone, Copy)]
pub(super) struct Moments<T> {
    pub mean: T,
    /// `1 / sqrt(variance + eps)`
    pub inverse: T,
}

impl<T: Real> Moments<T> {
    /// Mean and variance, part by part (Chan et al. 1979), so that a large mean costs no precision.
    #[inline(always)]
    pub(super) fn centred(x: &[T], eps: f64) -> Self {
        let (mut mean, mut squares, mut seen) = (0.0, 0.0, 0.0);
        for part in x.chunks(PART) {
            let count = part.len() as f64;
            let part_mean = sum1(part, |x| x) / T::of(count);
            let part_squares = sum1(part, |x| (x - part_mean) * (x - part_mean)).to_f64();
            let apart = part_mean.to_f64() - mean;
            mean += apart * count / (seen + count);
            squares += part_squares + apart * apart * seen * count / (seen + count);
            seen += count;
        }
        Self {
            mean: T::of(mean),
            inverse: T::of(1.0 / (squares / seen + eps).sqrt()),
        }
    }

    /// Mean zero by definition, variance the mean square.
    #[inline(always)]
    pub(super) fn uncentred(x: &[T], eps: f64) -> Self {
        let squares = sum1(x, |x| x * x).to_f64();
        Self {
            mean: T::ZERO,
            inverse: T::of(1.0 / (squares / x.len() as f64 + eps).sqrt()),
        }
    }

    #[inline(always)]
    pub(super) fn normal(&self, x: T) -> T {
        (x - self.mean) * self.inverse
    }

    /// With the weight and bias of one channel.
    #[inline(always)]
    pub(super) fn channel(&self, weight: T, bias: T) -> Channel<T> {
        Channel {
            mean: self.mean,
            scale: self.inverse * weight,
            bias,
        }
    }
}

/// The norm of one channel.
#[derive(Clone, Copy)]
pub(crate) struct Channel<T> {
    mean: T,
    scale: T,
    bias: T,
}

impl<T: Real> Channel<T> {
    #[inline(always)]
    pub(super) fn value(&self, x: T) -> T {
        (x - self.mean).fma(self.scale, self.bias)
    }
}

/// What follows a group norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Silu,
}

impl Then {
    /// The norm of some values of one channel, and what follows it.
    #[inline(always)]
    pub(super) fn of<T: Real>(self, channel: &Channel<T>, x: &[T], y: &mut [T]) {
        let values = y.iter_mut().zip(x);
        match self {
            Self::Nothing => {
                for (y, x) in values {
                    *y = channel.value(*x);
                }
            }
            Self::Silu => {
                for (y, x) in values {
                    *y = Self::Silu.value(channel.value(*x));
                }
            }
        }
    }

    #[inline(always)]
    pub(super) fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Nothing => x,
            Self::Silu => x * gates::sigmoid(x),
        }
    }

    #[inline(always)]
    pub(super) fn slope<T: Real>(self, x: T) -> T {
        match self {
            Self::Nothing => T::one(),
            Self::Silu => gates::silu_slope(x),
        }
    }
}
