//! Random tensors whose activations neither vanish nor explode.
use std::{cell::RefCell, collections::HashMap, rc::Rc};

use candle_core::{Device, Result, Tensor};
use half::bf16;
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Values that one thread draws at a time.
const RUN: usize = 1 << 16;

/// Every tensor that was drawn, by name, as it is stored.
pub(super) struct Ledger {
    seed: u64,
    /// By name, what a drawn tensor is multiplied by.
    factor: Box<dyn Fn(&str) -> f64>,
    drawn: RefCell<HashMap<String, Tensor>>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Rc<Self> {
        Self::starting(seed, |_| 1.0)
    }

    /// Every tensor is multiplied by the `factor` of its name.
    pub(super) fn starting(seed: u64, factor: impl Fn(&str) -> f64 + 'static) -> Rc<Self> {
        Rc::new(Self {
            seed,
            factor: Box::new(factor),
            drawn: RefCell::default(),
        })
    }

    /// Draws a tensor by its name and remembers it in bfloat16.
    pub(super) fn rule(self: &Rc<Self>) -> impl Fn(&str, &[usize]) -> Result<Tensor> + 'static {
        let ledger = Rc::clone(self);
        move |name, shape| {
            let drawn = draw(ledger.seed, name, shape)?;
            let tensor = match (ledger.factor)(name) {
                1.0 => drawn,
                factor => (drawn * factor)?,
            };
            ledger
                .drawn
                .borrow_mut()
                .insert(name.to_owned(), tensor.clone());
            Ok(tensor)
        }
    }

    pub(super) fn tensors(&self) -> HashMap<String, Tensor> {
        self.drawn.borrow().clone()
    }
}

/// Norms near one, biases near zero, matrices that keep the variance of their input.
pub(in crate::models) fn draw(seed: u64, name: &str, shape: &[usize]) -> Result<Tensor> {
    let (mean, deviation) = match shape {
        [_] if name.ends_with("bias") => (0.0, 0.02),
        [_] => (1.0, 0.1),
        _ if name.contains("embed_tokens") || name.ends_with("pad_token") => (0.0, 0.5),
        [_, inputs @ ..] => (0.0, 1.0 / (inputs.iter().product::<usize>() as f64).sqrt()),
        [] => (0.0, 1.0),
    };
    let count: usize = shape.iter().product();
    let start = ChaCha12Rng::from_seed(key(seed, name));
    let mut values = vec![bf16::ZERO; count];
    values
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each(|(run, values)| {
            let mut generator = start.clone();
            // two words a value
            generator.set_word_pos(2 * (run * RUN) as u128);
            for value in values {
                *value = bf16::from_f32((mean + deviation * bell(&mut generator)) as f32);
            }
        });
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A generator key for each tensor, so that a tensor does not depend on the order in which a model asks.
fn key(seed: u64, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    hash.finalize().into()
}

/// Sum of four uniforms, scaled to unit variance: near enough to a gaussian for weights, and only additions, which are
/// the same on every machine.
fn bell(generator: &mut ChaCha12Rng) -> f64 {
    let word = generator.next_u64();
    let sum: f64 = (0..4)
        .map(|i| ((word >> (16 * i)) & 0xffff) as f64 / 65536.0)
        .sum();
    (sum - 2.0) * 3f64.sqrt()
}
