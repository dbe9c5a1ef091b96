//! Milliseconds of each operation (best of several runs) for the shapes of `kernels.txt`; `kernels.py` is the peer.
//!
//!     cargo bench --bench kernels [filter]
#![allow(clippy::unwrap_used)]
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use npedit::nn::{self, Conv2d, GroupNorm, KeyMask, Linear, Padding, RmsNorm};

fn best_ms(mut run: impl FnMut() -> Result<Tensor>) -> Result<f64> {
    run()?;
    let (mut best, mut spent) = (f64::INFINITY, 0.0);
    while spent < 1.0 {
        let start = Instant::now();
        run()?;
        let took = start.elapsed().as_secs_f64();
        best = best.min(took);
        spent += took;
    }
    Ok(best * 1e3)
}

fn normal(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1f32, shape, &Device::Cpu)
}

fn measure(name: &str, sizes: &[usize]) -> Result<f64> {
    match (name, sizes) {
        ("linear", &[rows, input, output]) => {
            let layer = Linear::new(normal(&[output, input])?, Some(normal(&[output])?));
            let x = normal(&[1, rows, input])?;
            best_ms(|| layer.forward(&x))
        }
        ("attention", &[tokens, heads, size]) => {
            let shape = [1, tokens, heads, size];
            let (q, k, v) = (normal(&shape)?, normal(&shape)?, normal(&shape)?);
            best_ms(|| nn::attention(&q, &k, &v, &KeyMask::All))
        }
        ("conv", &[input, output, side, kernel, stride]) => {
            let padding = match stride {
                2 => Padding {
                    top: 0,
                    bottom: 1,
                    left: 0,
                    right: 1,
                },
                _ => Padding::symmetric(kernel / 2),
            };
            let weight = normal(&[output, input, kernel, kernel])?;
            let layer = Conv2d::new(weight, normal(&[output])?, stride, padding);
            let x = normal(&[1, input, side, side])?;
            best_ms(|| layer.forward(&x))
        }
        ("group_norm_silu", &[channels, side]) => {
            let layer = GroupNorm::new(normal(&[channels])?, normal(&[channels])?, 32, 1e-6);
            let x = normal(&[1, channels, side, side])?;
            best_ms(|| layer.forward_silu(&x))
        }
        ("rms_norm", &[rows, width]) => {
            let layer = RmsNorm::new(normal(&[width])?, 1e-5);
            let x = normal(&[1, rows, width])?;
            best_ms(|| layer.forward(&x))
        }
        ("silu_mul", &[rows, width]) => {
            let (gate, up) = (normal(&[1, rows, width])?, normal(&[1, rows, width])?);
            best_ms(|| nn::silu_mul(&gate, &up))
        }
        ("rope", &[tokens, heads, size]) => {
            let x = normal(&[1, tokens, heads, size])?;
            let angle = normal(&[tokens, size / 2])?;
            let (cos, sin) = (angle.cos()?, angle.sin()?);
            best_ms(|| nn::rope_pairs(&x, &cos, &sin))
        }
        ("gelu", &[rows, width]) => {
            let x = normal(&[1, rows, width])?.to_dtype(DType::F32)?;
            best_ms(|| nn::gelu(&x))
        }
        _ => candle_core::bail!("kernels.txt names an operation that this bench lacks: {name}"),
    }
}

fn main() -> Result<()> {
    let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    for line in include_str!("kernels.txt").lines() {
        if filter
            .as_ref()
            .is_some_and(|filter| !line.contains(filter.as_str()))
        {
            continue;
        }
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let sizes: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
        println!("{line}\t{:.3}", measure(name, &sizes)?);
    }
    Ok(())
}
