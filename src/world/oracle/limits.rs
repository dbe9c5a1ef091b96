//! Where the oracle draws its lines. Fixed before any editor was trained; lengths are in sides, 1/64 is a pixel of a shipped
//! picture, colour distances are means over channels in [0, 1].

/// Mean distance from the true picture where something was to change: tiny.md's strict rule.
pub(super) const REGION: f32 = 0.13;
/// Mean distance from the true picture everywhere else: the same rule. A tiny autoencoder leaves 0.03.
pub(super) const REST: f32 = 0.06;
/// The same in each field of 8 x 8 a picture, smoothed, since a mean over the picture hides a lost object. The faintest
/// readable object that fills a field makes 0.13; an outline that is a pixel off makes 0.04.
pub(super) const FIELD: f32 = 0.10;
/// Fields a side.
pub(super) const FIELDS: usize = 8;
/// How far an edit's region reaches beyond the outlines of what changes: two pixels.
pub(super) const MARGIN: f32 = 2.0 / 64.0;

/// An object's own pixels lie this far inside its outline, where neither anti-aliasing nor an autoencoder reaches.
pub(super) const CORE: f32 = 1.5 / 64.0;
/// Share of an object's own pixels that must be nearer to its colour than to every other and to the background.
pub(super) const OWN_SHARE: f32 = 0.8;
/// Mean distance of an object's own pixels from its colour. Half of the least distance of two colours is 0.17.
pub(super) const OWN_COLOUR: f32 = 0.13;

/// How far from an outline its sharpness and place are measured: three pixels.
pub(super) const BAND: f32 = 3.0 / 64.0;
/// Mean distance between the outline seen and the true one. Blur by two pixels makes 1.3/64, an autoencoder 0.4/64, an
/// object that is a pixel off 0.64/64.
pub(super) const OUTLINE: f32 = 0.9 / 64.0;
/// Mean error of a pattern's light and dark in shares of their difference. Blur by two pixels makes 0.16, an autoencoder 0.06.
pub(super) const PATTERN: f32 = 0.11;
/// Opacity that may be left of a removed object, on its own pixels.
pub(super) const GHOST: f32 = 0.25;
/// Mean spread between a pixel's channels that still counts as grey, over the picture and on each object's own pixels.
pub(super) const CHROMA: f32 = 0.06;

/// Radii of an added object: any size that the world draws, with a fifth to spare.
pub(super) const ADDED_RADIUS: [f32; 2] = [0.096, 0.24];
/// Radius of an enlarged object by its old one: true is 1.67; half of that growth can be seen.
pub(super) const GROWTH: [f32; 2] = [1.33, 2.0];
/// Radius of a reshaped object by its old one: no instruction says how large the new shape is.
pub(super) const RESHAPED_GROWTH: [f32; 2] = [0.8, 1.25];
/// How far the centre of an object may wander when it is enlarged or reshaped: two pixels and a half.
pub(super) const WANDER: f32 = 2.5 / 64.0;
