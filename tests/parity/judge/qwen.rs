//! What only Qwen3-VL's processor and positions give.
use candle_core::{D, Tensor};
use npedit::models::vlm::Illustrated;

use super::pictured::{Case, Layout};
use crate::ledger::{Failure, Ledger, values};

/// Patches a side of a token: `spatial_merge_size` of both recorded models.
const MERGE: f64 = 2.0;

/// `[patches of all pictures, 3 * T * P * P]`
pub const LAYOUT: Layout = Layout {
    apart: |case, all| {
        let grids = values(case.variant.tensor(&case.out("image_grid_thw"))?)?;
        let mut pictures = Vec::new();
        let mut first = 0;
        for grid in grids.chunks_exact(3) {
            let count = grid.iter().product::<f64>() as usize;
            pictures.push(all.narrow(0, first, count)?);
            first += count;
        }
        Ok(pictures)
    },
    together: |values| Tensor::cat(values, 0),
    run: |values| values.dim(1),
    particular,
};

fn particular(case: &Case, item: &Illustrated, ledger: &mut Ledger) -> Result<(), Failure> {
    let grids = item.images.iter().flat_map(|image| {
        let sides = [1, 2].map(|axis| {
            let last = image.positions.iter().map(|position| position[axis]).max();
            f64::from(last.unwrap_or(0) + 1) * MERGE
        });
        [1.0, sides[0], sides[1]]
    });
    case.whole("image_grid_thw", &grids.collect::<Vec<_>>(), ledger)?;

    let model = case.asked.judge.model();
    let ids = item.expanded(model.image_token())?;
    let kinds = ids
        .iter()
        .map(|id| f64::from(u8::from(*id == model.image_token())));
    case.whole("mm_token_type_ids", &kinds.collect::<Vec<_>>(), ledger)?;

    let sequence = model.sequence(std::slice::from_ref(item))?;
    let positions = &sequence.positions;
    let by_axis = (0..3).flat_map(|axis| positions.iter().map(move |at| f64::from(at[axis])));
    case.whole("position_ids", &by_axis.collect::<Vec<_>>(), ledger)?;
    let last = positions.iter().flatten().max().copied().unwrap_or(0);
    let delta = f64::from(last) + 1.0 - ids.len() as f64;
    case.whole("rope_delta", &[delta], ledger)?;

    let rotations = model.decoder().rotations(&sequence.positions)?;
    for (key, half) in [("rope_cos", &rotations.cos), ("rope_sin", &rotations.sin)] {
        if ledger.wants(&case.out(key)) {
            let both = Tensor::cat(&[half, half], D::Minus1)?;
            ledger.tensor(&case.out(key), &both, "rope cos/sin")?;
        }
    }
    Ok(())
}
