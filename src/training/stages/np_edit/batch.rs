//! Rows to batches: items that share a grid and padded text lengths run together, which changes no item.
use candle_core::Tensor;

use super::NpEdit;
use crate::{
    models::zimage::Captions,
    pipelines::{questions::EditDescription, velocity::EditConditioning},
    training::{
        conditioning::Encoded,
        error::TrainingResult,
        instruction_set::Row,
        order::{Order, Pick},
    },
};

/// Instruction of the items that keep the picture as it is (nupurkmr9/npedit @ a3cd76c).
const DO_NOTHING: &str = "do nothing.";

/// What the stage draws from.
#[derive(Clone, Debug)]
pub struct Rows {
    pub edits: Vec<Row>,
    /// Edits that are to stay as the base makes them.
    pub replayed: Vec<Row>,
    pub order: Order,
}

/// What an item is trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Edit,
    /// The picture stays as it is.
    Nothing,
    /// The base's own edit stays as it is.
    Replay,
}

/// One item, encoded.
#[derive(Clone, Debug)]
pub struct Item {
    /// Place in the batch, from 0.
    pub place: usize,
    pub role: Role,
    pub reference: Encoded,
    /// `[1, L, D]`
    pub instruction: Tensor,
    /// What the edited picture shows, `[1, L, D]`.
    pub caption: Tensor,
    pub edit: EditDescription,
}

/// Items of one pass.
pub struct MicroBatch {
    pub items: Vec<Item>,
    pub conditioning: EditConditioning,
    pub captions: Captions,
}

impl MicroBatch {
    fn new(items: Vec<Item>) -> TrainingResult<Self> {
        let gather = |of: fn(&Item) -> &Tensor| -> Vec<Tensor> {
            items.iter().map(|item| of(item).clone()).collect()
        };
        Ok(Self {
            conditioning: EditConditioning {
                reference: Tensor::cat(&gather(|item| &item.reference.latents), 0)?,
                instruction: Captions::new(&gather(|item| &item.instruction))?,
            },
            captions: Captions::new(&gather(|item| &item.caption))?,
            items,
        })
    }

    /// What belongs to these items of a list with one value for each item of the batch.
    pub fn of_items<T: Copy>(&self, all: &[T]) -> Vec<T> {
        let picked = self.items.iter().filter_map(|item| all.get(item.place));
        picked.copied().collect()
    }

    /// The items in order, at most `most` at a time, neighbours of one role together.
    pub fn judged_together(&self, most: usize) -> impl Iterator<Item = &[Item]> {
        let runs = self.items.chunk_by(|a, b| a.role == b.role);
        runs.flat_map(move |run| run.chunks(most.max(1)))
    }

    /// All items of a pass are replayed, or none is.
    pub fn replayed(&self) -> bool {
        self.items
            .first()
            .is_some_and(|item| item.role == Role::Replay)
    }
}

/// Items with equal keys may run together.
type Key = (bool, Vec<usize>, [usize; 2]);

impl Item {
    fn key(&self) -> TrainingResult<Key> {
        let padded =
            |text: &Tensor| Ok::<_, candle_core::Error>(Captions::padded_len(text.dim(1)?));
        let lengths = [padded(&self.instruction)?, padded(&self.caption)?];
        let grid = self.reference.latents.dims().to_vec();
        Ok((self.role == Role::Replay, grid, lengths))
    }
}

impl NpEdit<'_> {
    /// The batch whose first row is at `position` of the order, as passes.
    pub(super) fn batches(&mut self, position: u64) -> TrainingResult<Vec<MicroBatch>> {
        let rows = (0..self.settings.batch as u64).map(|place| self.picked(position + place).1);
        let rows: Vec<Row> = rows.cloned().collect();
        let texts = rows
            .iter()
            .flat_map(|row| [Some(&row.instruction), row.edited_caption.as_ref()]);
        let texts = texts.flatten().map(String::as_str);
        let pictures = rows.iter().map(|row| row.image.as_path());
        self.conditioner.prepare(pictures, texts)?;
        let mut groups: Vec<(Key, Vec<Item>)> = Vec::new();
        for place in 0..self.settings.batch {
            let item = self.item(place, position + place as u64)?;
            let key = item.key()?;
            let room = self.settings.micro;
            let open = groups
                .iter_mut()
                .find(|(other, items)| *other == key && items.len() < room);
            match open {
                Some((_, items)) => items.push(item),
                None => groups.push((key, vec![item])),
            }
        }
        groups
            .into_iter()
            .map(|(_, items)| MicroBatch::new(items))
            .collect()
    }

    fn picked(&self, position: u64) -> (Role, &Row) {
        match self.rows.order.at(position) {
            Pick::Edit(row) => (Role::Edit, &self.rows.edits[row]),
            Pick::Nothing(row) => (Role::Nothing, &self.rows.edits[row]),
            Pick::Replay(row) => (Role::Replay, &self.rows.replayed[row]),
        }
    }

    fn item(&mut self, place: usize, position: u64) -> TrainingResult<Item> {
        let (role, row) = self.picked(position);
        let row = row.clone();
        let edited = row.edited_caption.as_deref().unwrap_or_default();
        let mut edit = row.description();
        let caption = match role {
            Role::Edit | Role::Replay => edited,
            // what the reference shows is what is to be seen afterwards
            Role::Nothing => row.source_caption.as_deref().unwrap_or(edited),
        };
        if role == Role::Nothing {
            DO_NOTHING.clone_into(&mut edit.instruction);
        }
        Ok(Item {
            place,
            role,
            reference: self.conditioner.picture(&row.image)?,
            instruction: self.conditioner.text(&edit.instruction)?,
            caption: self.conditioner.text(caption)?,
            edit,
        })
    }
}
