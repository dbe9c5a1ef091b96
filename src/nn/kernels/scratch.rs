//! Memory of kernels: answers, and what operands are packed into.
use std::ops::{Deref, DerefMut};

use rayon::prelude::*;

use super::real::Real;

/// Numbers that are cleared at a time.
pub(super) const BLOCK: usize = 1 << 10;
/// Blocks of one task at least.
pub(super) const BLOCKS: usize = 16;
/// Fewer numbers are cleared by the caller.
const MANY: usize = 1 << 16;
/// More numbers are not kept between calls.
const KEPT: usize = 1 << 22;

/// `count` zeros. Several threads clear them where there are many, and so share the page faults of fresh memory.
pub(crate) fn zeros<T: Real>(count: usize) -> Vec<T> {
    if count < MANY {
        return vec![T::ZERO; count];
    }
    let blocks = (0..count.div_ceil(BLOCK)).into_par_iter();
    let blocks = blocks.with_min_len(BLOCKS).map(|_| [T::ZERO; BLOCK]);
    let mut zeros = blocks.collect::<Vec<_>>().into_flattened();
    zeros.truncate(count);
    zeros
}

/// Numbers of no particular value, from an earlier call of the same thread where it left enough.
pub(crate) struct Scratch<T: Real> {
    values: Vec<T>,
    count: usize,
}

impl<T: Real> Scratch<T> {
    pub(crate) fn new(count: usize) -> Self {
        let mut values = T::shelf().take();
        if values.len() < count {
            drop(values);
            values = zeros(count);
        }
        Self { values, count }
    }
}

impl<T: Real> Drop for Scratch<T> {
    fn drop(&mut self) {
        if self.values.len() <= KEPT {
            T::shelf().set(std::mem::take(&mut self.values));
        }
    }
}

impl<T: Real> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.count]
    }
}

impl<T: Real> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_zeros() {
        for count in [0, 1, MANY - 1, MANY, MANY + 1, MANY + BLOCK] {
            assert_eq!(zeros::<f32>(count), vec![0.0; count]);
        }
    }

    #[test]
    fn what_is_in_use_is_not_handed_out_again() {
        let mut outer = Scratch::<f64>::new(3);
        outer.fill(1.0);
        {
            let mut inner = Scratch::<f64>::new(5);
            inner.fill(2.0);
            assert_eq!((outer.len(), inner.len()), (3, 5));
        }
        assert_eq!(*outer, [1.0; 3]);
        drop(outer);
        assert_eq!(Scratch::<f64>::new(2).len(), 2);
    }
}
