use candle_core::{DType, Tensor};

use super::*;
use crate::models::finite_differences::{check, double, random_tensor, random_weights};

fn autoencoder(compute: &Compute) -> AutoencoderKl {
    of_widths([4, 8], compute)
}

fn of_widths(widths: [usize; 2], compute: &Compute) -> AutoencoderKl {
    let mut config = config::tests::toy();
    config["block_out_channels"] = widths.into();
    let config: Config = serde_json::from_value(config).unwrap();
    AutoencoderKl::load(&config, random_weights(4), compute).unwrap()
}

#[test]
fn gradients_go_through_the_decoder() {
    let vae = autoencoder(&double());
    check(&[random_tensor("latents", &[2, 2, 3, 4])], |x| {
        vae.decode(&x[0])
    });
}

#[test]
fn gradients_go_through_the_encoder() {
    let vae = autoencoder(&double());
    check(&[random_tensor("pixels", &[2, 3, 6, 8])], |x| {
        vae.encode_mean(&x[0])
    });
}

#[test]
fn sizes_follow_the_number_of_levels() {
    let vae = autoencoder(&double());
    assert_eq!((vae.downscale_factor(), vae.latent_channels()), (2, 2));
    let latents = vae
        .encode_mean(&random_tensor("pixels", &[1, 3, 6, 8]))
        .unwrap();
    assert_eq!(latents.dims(), [1, 2, 3, 4]);
    assert_eq!(vae.decode(&latents).unwrap().dims(), [1, 3, 6, 8]);
    for shape in [[1, 3, 5, 8], [1, 3, 6, 7], [1, 3, 0, 8], [1, 1, 6, 8]] {
        assert!(
            vae.encode_mean(&random_tensor("pixels", &shape)).is_err(),
            "{shape:?}"
        );
    }
    assert!(
        vae.decode(&random_tensor("latents", &[1, 3, 3, 4]))
            .is_err()
    );
}

#[test]
fn half_precision_answers_in_the_callers_dtype() {
    let exact = autoencoder(&double())
        .decode(&random_tensor("latents", &[1, 2, 3, 4]))
        .unwrap();
    for dtype in [DType::F16, DType::BF16] {
        let vae = autoencoder(&Compute {
            dtype,
            ..Compute::cpu()
        });
        let latents = random_tensor("latents", &[1, 2, 3, 4])
            .to_dtype(DType::F32)
            .unwrap();
        let decoded = vae.decode(&latents).unwrap();
        assert_eq!(decoded.dtype(), DType::F32);
        let difference: Tensor = (decoded.to_dtype(DType::F64).unwrap() - &exact).unwrap();
        let largest = difference
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        assert!(largest < 0.2, "{dtype:?}: {largest}");
    }
}

#[test]
fn a_recomputed_decoder_has_the_plain_gradient_to_the_bit() {
    use crate::nn::{Activations, Collected};

    let single = Compute {
        dtype: DType::F32,
        ..double()
    };
    // wide enough for the kernels that answer in their input's memory
    let vae = of_widths([32, 64], &single);
    let latents = random_tensor("latents", &[2, 2, 3, 4])
        .to_dtype(DType::F32)
        .unwrap();
    let bits = |vae: &AutoencoderKl| -> Vec<u32> {
        let leaf = candle_core::Var::from_tensor(&latents).unwrap();
        let pixels = vae.decode(leaf.as_tensor()).unwrap();
        let grads = pixels.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let grad = grads.get(&leaf).unwrap().flatten_all().unwrap();
        grad.to_vec1::<f32>()
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect()
    };
    let again = vae.with_activations(Activations::Recompute(Collected::default()));
    assert_eq!(bits(&vae), bits(&again));
}
