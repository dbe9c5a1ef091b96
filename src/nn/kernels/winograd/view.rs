//! What the tiles show of the stored image.
use crate::nn::kernels::{
    norm::{Channel, Then},
    real::Real,
    window::Windows,
};

/// How the stored image becomes the one that is convolved.
#[derive(Clone, Copy)]
pub(in crate::nn::kernels) enum View<'a, T> {
    /// As it is.
    Plain,
    /// Normalised; one norm a channel, `[B, C]`.
    Normal(&'a [Channel<T>], Then),
    /// Every pixel as a block of 2 x 2.
    Enlarged,
}

impl<'a, T: Real> View<'a, T> {
    /// Stored pixels of one channel under `windows`.
    pub(super) fn stored_pixels(&self, windows: &Windows) -> usize {
        let seen = windows.height * windows.width;
        match self {
            Self::Plain | Self::Normal(..) => seen,
            Self::Enlarged => seen / 4,
        }
    }

    /// The view of one item of a batch.
    pub(super) fn of_item(self, item: usize, channels: usize) -> Self {
        match self {
            Self::Normal(norms, then) => {
                Self::Normal(&norms[item * channels..(item + 1) * channels], then)
            }
            Self::Plain | Self::Enlarged => self,
        }
    }

    /// What the view shows of one channel, `stored` as it is.
    #[inline(always)]
    pub(super) fn plane(&self, channel: usize, stored: &'a [T]) -> Plane<'a, T> {
        match self {
            Self::Plain => Plane::Plain(stored),
            Self::Normal(norms, then) => Plane::Normal(stored, norms[channel], *then),
            Self::Enlarged => Plane::Enlarged(stored),
        }
    }
}

/// One channel of a [`View`].
#[derive(Clone, Copy)]
pub(super) enum Plane<'a, T> {
    Plain(&'a [T]),
    Normal(&'a [T], Channel<T>, Then),
    Enlarged(&'a [T]),
}

impl<T: Real> Plane<'_, T> {
    /// Pixels from `(row, column)` on of the image seen, which is `width` wide.
    #[inline(always)]
    pub(super) fn read(&self, width: usize, (row, from): (usize, usize), out: &mut [T]) {
        match self {
            Self::Plain(stored) => {
                out.copy_from_slice(&stored[row * width + from..][..out.len()]);
            }
            Self::Normal(stored, norm, then) => {
                then.of(norm, &stored[row * width + from..][..out.len()], out);
            }
            Self::Enlarged(stored) => {
                let row = &stored[row / 2 * (width / 2)..][..width / 2];
                twice(&row[from / 2..], from % 2, out);
            }
        }
    }
}

/// Each number of `x` twice, but for the first `skipped` (0 or 1) copies.
#[inline(always)]
fn twice<T: Real>(x: &[T], skipped: usize, out: &mut [T]) {
    let (before, rest) = out.split_at_mut(skipped.min(out.len()));
    for out in before {
        *out = x[0];
    }
    let (pairs, last) = rest.as_chunks_mut::<2>();
    let x = x.get(skipped..).unwrap_or_default();
    for (pair, x) in pairs.iter_mut().zip(x) {
        *pair = [*x; 2];
    }
    for (out, x) in last.iter_mut().zip(x.iter().skip(pairs.len())) {
        *out = *x;
    }
}
