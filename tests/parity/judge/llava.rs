//! What only LLaVA-OneVision's processor gives.
use candle_core::Tensor;
use npedit::models::vlm::Illustrated;

use super::pictured::{Case, Layout};
use crate::ledger::{Failure, Ledger};

/// `[n, views, 3, S, S]`
pub const LAYOUT: Layout = Layout {
    apart: |_, values| {
        let pictures = 0..values.dim(0)?;
        Ok(pictures
            .map(|picture| values.get(picture))
            .collect::<Result<_, _>>()?)
    },
    together: |values| Tensor::stack(values, 0),
    run: |values| {
        let side = values.dim(4)?;
        Ok(3 * side * side)
    },
    particular,
};

fn particular(case: &Case, item: &Illustrated, ledger: &mut Ledger) -> Result<(), Failure> {
    let mut sizes = Vec::new();
    for picture in &case.asked.pictures {
        let (_, height, width) = picture.dims3()?;
        sizes.extend([height as f64, width as f64]);
    }
    case.whole("image_sizes", &sizes, ledger)?;
    case.whole("batch_num_images", &[item.images.len() as f64], ledger)?;
    let lengths = item
        .images
        .iter()
        .map(|image| Ok(image.features.dim(0)? as f64));
    let lengths: Vec<f64> = lengths.collect::<candle_core::Result<_>>()?;
    case.whole("feature_lens", &lengths, ledger)
}
