//! What an edit changes, and whether one scene is another with that change.
use super::{
    background::Texture,
    colour::Colour,
    edit_type::EditType,
    object::{Object, Side, Size},
    scene::{Scene, Style},
    shape::Shape,
};

/// One change of a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Recolour {
        side: Side,
        colour: Colour,
    },
    Reshape {
        side: Side,
        shape: Shape,
    },
    Remove {
        side: Side,
    },
    Add {
        side: Side,
        shape: Shape,
        colour: Colour,
    },
    Retexture {
        texture: Texture,
    },
    Repaint {
        colour: Colour,
    },
    DrainColour,
    Enlarge {
        side: Side,
    },
}

impl Change {
    pub fn edit_type(self) -> EditType {
        match self {
            Self::Recolour { .. } => EditType::Color,
            Self::Reshape { .. } => EditType::Shape,
            Self::Remove { .. } => EditType::Remove,
            Self::Add { .. } => EditType::Add,
            Self::Retexture { .. } | Self::Repaint { .. } => EditType::Background,
            Self::DrainColour => EditType::Style,
            Self::Enlarge { .. } => EditType::Enlarge,
        }
    }

    /// The side that it concerns, where it concerns one.
    pub fn side(self) -> Option<Side> {
        match self {
            Self::Recolour { side, .. }
            | Self::Reshape { side, .. }
            | Self::Remove { side }
            | Self::Add { side, .. }
            | Self::Enlarge { side } => Some(side),
            Self::Retexture { .. } | Self::Repaint { .. } | Self::DrainColour => None,
        }
    }

    /// The scene after it. What is added is large and stands in the middle of its half.
    pub fn apply(self, scene: &Scene) -> Scene {
        match self {
            Self::Recolour { side, colour } => scene.with(side, |object| object.colour = colour),
            Self::Reshape { side, shape } => scene.with(side, |object| object.shape = shape),
            Self::Remove { side } => scene.without(side),
            Self::Add {
                side,
                shape,
                colour,
            } => scene.without(side).with_added(Object {
                shape,
                colour,
                size: Size::Large,
                side,
                place: side.middle(),
            }),
            Self::Retexture { texture } => {
                let mut after = scene.clone();
                after.background.texture = texture;
                after
            }
            Self::Repaint { colour } => {
                let mut after = scene.clone();
                after.background.colour = colour;
                after
            }
            Self::DrainColour => Scene {
                style: Style::Grey,
                ..scene.clone()
            },
            Self::Enlarge { side } => scene.with(side, |object| object.size = Size::Large),
        }
    }

    /// Whether it can be asked of `scene`: there is something to change, and what comes out can be read.
    pub fn is_possible(self, scene: &Scene) -> bool {
        let concerned = match self {
            Self::Add { side, .. } => scene.object(side).is_none(),
            _ => self.side().is_none_or(|side| scene.object(side).is_some()),
        };
        let after = self.apply(scene);
        concerned && after != *scene && after.is_readable()
    }

    /// Whether `after` has it.
    pub fn is_done(self, after: &Scene) -> bool {
        let object = self.side().and_then(|side| after.object(side));
        match self {
            Self::Recolour { colour, .. } => object.is_some_and(|found| found.colour == colour),
            Self::Reshape { shape, .. } => object.is_some_and(|found| found.shape == shape),
            Self::Remove { .. } => object.is_none(),
            Self::Add { shape, colour, .. } => {
                object.is_some_and(|found| found.shape == shape && found.colour == colour)
            }
            Self::Retexture { texture } => after.background.texture == texture,
            Self::Repaint { colour } => after.background.colour == colour,
            Self::DrainColour => after.style == Style::Grey,
            Self::Enlarge { .. } => object.is_some_and(|found| found.size == Size::Large),
        }
    }

    /// Whether `after` has everything of `before` that this change leaves alone. Where an object comes or goes, its side is
    /// free.
    pub fn is_rest_kept(self, before: &Scene, after: &Scene) -> bool {
        let mut expected = before.clone();
        match self {
            Self::Remove { side } | Self::Add { side, .. } => {
                return expected.without(side) == after.without(side);
            }
            Self::Recolour { side, .. } | Self::Reshape { side, .. } | Self::Enlarge { side } => {
                let Some(found) = after.object(side) else {
                    return false;
                };
                expected = expected.with(side, |object| match self {
                    Self::Recolour { .. } => object.colour = found.colour,
                    Self::Reshape { .. } => object.shape = found.shape,
                    _ => object.size = found.size,
                });
            }
            Self::Retexture { .. } => expected.background.texture = after.background.texture,
            Self::Repaint { .. } => expected.background.colour = after.background.colour,
            Self::DrainColour => expected.style = after.style,
        }
        expected == *after
    }

    /// All changes of a type that can be asked of `scene`.
    pub fn possible(edit_type: EditType, scene: &Scene) -> Vec<Self> {
        let mut changes = Vec::new();
        for side in Side::ALL {
            match edit_type {
                EditType::Color => {
                    changes.extend(Colour::ALL.map(|colour| Self::Recolour { side, colour }));
                }
                EditType::Shape => {
                    changes.extend(Shape::ALL.map(|shape| Self::Reshape { side, shape }));
                }
                EditType::Remove => changes.push(Self::Remove { side }),
                EditType::Add => changes.extend(Shape::ALL.into_iter().flat_map(|shape| {
                    Colour::ALL.map(|colour| Self::Add {
                        side,
                        shape,
                        colour,
                    })
                })),
                EditType::Enlarge => changes.push(Self::Enlarge { side }),
                EditType::Background | EditType::Style => {}
            }
        }
        match edit_type {
            EditType::Background => {
                changes.extend(Texture::ALL.map(|texture| Self::Retexture { texture }));
                changes.extend(Colour::ALL.map(|colour| Self::Repaint { colour }));
            }
            EditType::Style => changes.push(Self::DrainColour),
            _ => {}
        }
        changes.retain(|change| change.is_possible(scene));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SceneRng;

    #[test]
    fn what_was_applied_is_done_and_keeps_the_rest_and_nothing_else_is() {
        let mut seen = 0;
        for index in 0..200 {
            let scene = Scene::draw(&mut SceneRng::new(3, index));
            let all = EditType::ALL.map(|kind| Change::possible(kind, &scene));
            for &change in all.iter().flatten() {
                let after = change.apply(&scene);
                assert!(change.is_done(&after) && change.is_rest_kept(&scene, &after));
                assert!(!change.is_done(&scene), "{change:?} of {scene:?}");
                for &extra in all.iter().flatten() {
                    let both = extra.apply(&after);
                    let good = change.is_done(&both) && change.is_rest_kept(&scene, &both);
                    assert_eq!(good, both == after || added_again(change, extra));
                }
                seen += 1;
            }
        }
        assert!(seen > 2000, "{seen}");
    }

    /// Whether `extra` enlarges what `change` adds, which may have any size.
    fn added_again(change: Change, extra: Change) -> bool {
        let adds = matches!(change, Change::Add { .. });
        adds && change.side() == extra.side() && matches!(extra, Change::Enlarge { .. })
    }
}
