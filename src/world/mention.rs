//! How a text says which object it means.
use super::{object::Side, rng::SceneRng, scene::Scene};

/// All ways to mean the object on `side` and no other, such as "the red circle" or "the circle on the left".
pub(super) fn mentions(scene: &Scene, side: Side) -> Vec<String> {
    let Some(object) = scene.object(side) else {
        return Vec::new();
    };
    let (shape, colour) = (object.shape.word(), object.colour.word());
    let mut mentions = vec![format!("the {colour} {shape}")];
    let Some(other) = scene.object(side.other()) else {
        mentions.extend([format!("the {shape}"), "the object".to_owned()]);
        return mentions;
    };
    if other.shape != object.shape {
        mentions.push(format!("the {shape}"));
    }
    if other.colour != object.colour {
        mentions.push(format!("the {colour} object"));
    }
    let side = side.word();
    mentions.extend([
        format!("the {side} {shape}"),
        format!("the {shape} on the {side}"),
    ]);
    mentions
}

/// One of [`mentions`]; the object must be there.
pub(super) fn mention(scene: &Scene, side: Side, rng: &mut SceneRng) -> String {
    let mut mentions = mentions(scene, side);
    let chosen = rng.below(mentions.len());
    mentions.swap_remove(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_never_means_both() {
        for index in 0..500 {
            let scene = Scene::draw(&mut SceneRng::new(5, index));
            let [left, right] = Side::ALL.map(|side| mentions(&scene, side));
            assert!(left.iter().all(|mention| !right.contains(mention)));
            assert_eq!(left.is_empty(), scene.object(Side::Left).is_none());
        }
    }
}
