//! Latents to tokens and back.
use candle_core::{Result, Tensor};

/// `[B, C, h, w]` to `[B, h/p * w/p, p * p * C]`: row-major patches, channels fastest.
pub(super) fn patchify(latents: &Tensor, patch: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = latents.dims4()?;
    let (rows, columns) = (height / patch, width / patch);
    latents
        .reshape(&[batch, channels, rows, patch, columns, patch][..])?
        .permute([0, 2, 4, 3, 5, 1])?
        .contiguous()?
        .reshape((batch, rows * columns, patch * patch * channels))
}

/// The inverse of [`patchify`] for a grid of `[rows, columns]`.
pub(super) fn unpatchify(
    tokens: &Tensor,
    [rows, columns]: [usize; 2],
    patch: usize,
) -> Result<Tensor> {
    let (batch, _, features) = tokens.dims3()?;
    let channels = features / (patch * patch);
    tokens
        .reshape(&[batch, rows, columns, patch, patch, channels][..])?
        .permute([0, 5, 1, 3, 2, 4])?
        .contiguous()?
        .reshape((batch, channels, rows * patch, columns * patch))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn patches_hold_rows_then_columns_then_channels() {
        let latents = Tensor::arange(0u32, 24, &Device::Cpu)
            .unwrap()
            .reshape((1, 2, 2, 6))
            .unwrap();
        let tokens = patchify(&latents, 2).unwrap();
        assert_eq!(tokens.dims(), [1, 3, 8]);
        let second: Vec<u32> = tokens.get(0).unwrap().get(1).unwrap().to_vec1().unwrap();
        assert_eq!(second, [2, 14, 3, 15, 8, 20, 9, 21]);
        let back = unpatchify(&tokens, [1, 3], 2).unwrap();
        assert_eq!(
            back.flatten_all().unwrap().to_vec1::<u32>().unwrap(),
            (0..24).collect::<Vec<_>>()
        );
    }
}
