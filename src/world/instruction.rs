//! Instructions in words.
use super::{background::Texture, change::Change, mention::mention, rng::SceneRng, scene::Scene};

/// An instruction, and what it is about.
pub(super) struct Instruction {
    pub text: String,
    /// What a question about the edit names, such as "the red circle".
    pub object: String,
}

/// One of the ways to ask `change` of `scene`.
pub(super) fn instruct(change: Change, scene: &Scene, rng: &mut SceneRng) -> Instruction {
    let texts = |rng: &mut SceneRng, texts: &[String]| texts[rng.below(texts.len())].clone();
    match change {
        Change::Recolour { side, colour } => {
            let (object, colour) = (mention(scene, side, rng), colour.word());
            let ways = [
                format!("make {object} {colour}"),
                format!("turn {object} {colour}"),
                format!("paint {object} {colour}"),
                format!("change {object} to {colour}"),
                format!("change the color of {object} to {colour}"),
            ];
            Instruction {
                text: texts(rng, &ways),
                object,
            }
        }
        Change::Reshape { side, shape } => {
            let (object, shape) = (mention(scene, side, rng), shape.word());
            let ways = [
                format!("change {object} into a {shape}"),
                format!("turn {object} into a {shape}"),
                format!("replace {object} with a {shape}"),
                format!("make {object} a {shape}"),
            ];
            Instruction {
                text: texts(rng, &ways),
                object,
            }
        }
        Change::Remove { side } => {
            let object = mention(scene, side, rng);
            let ways = [
                format!("remove {object}"),
                format!("delete {object}"),
                format!("erase {object}"),
                format!("take away {object}"),
            ];
            Instruction {
                text: texts(rng, &ways),
                object,
            }
        }
        Change::Add {
            side,
            shape,
            colour,
        } => {
            let object = format!("a {} {}", colour.word(), shape.word());
            let (neighbour, side) = (scene.object(side.other()), side.word());
            let mut ways = vec![
                format!("add {object}"),
                format!("add {object} on the {side}"),
                format!("put {object} on the {side}"),
                format!("draw {object} on the {side}"),
            ];
            if let Some(neighbour) = neighbour {
                ways.push(format!(
                    "add {object} next to {}",
                    mention(scene, neighbour.side, rng)
                ));
            }
            Instruction {
                text: texts(rng, &ways),
                object,
            }
        }
        Change::Retexture { texture } => {
            let (word, predicate) = (texture.word(), predicate(texture));
            let ways = [
                format!("make the background {predicate}"),
                format!("give it a {word} background"),
                format!("change to a {word} background"),
            ];
            about_the("background", texts(rng, &ways))
        }
        Change::Repaint { colour } => {
            let colour = colour.word();
            let ways = [
                format!("make the background {colour}"),
                format!("turn the background {colour}"),
                format!("paint the background {colour}"),
                format!("change the background to {colour}"),
                format!("change the color of the background to {colour}"),
            ];
            about_the("background", texts(rng, &ways))
        }
        Change::DrainColour => {
            let ways = [
                "make it greyscale",
                "make the picture greyscale",
                "turn the picture greyscale",
                "make it grayscale",
                "make it black and white",
                "turn the picture black and white",
            ];
            about_the("picture", rng.choose(&ways).to_owned())
        }
        Change::Enlarge { side } => {
            let object = mention(scene, side, rng);
            let ways = [
                format!("make {object} bigger"),
                format!("make {object} larger"),
                format!("enlarge {object}"),
            ];
            Instruction {
                text: texts(rng, &ways),
                object,
            }
        }
    }
}

fn about_the(object: &str, text: String) -> Instruction {
    Instruction {
        text,
        object: format!("the {object}"),
    }
}

/// What follows "make the background".
fn predicate(texture: Texture) -> &'static str {
    match texture {
        Texture::Gradient => "a gradient",
        other => other.word(),
    }
}
