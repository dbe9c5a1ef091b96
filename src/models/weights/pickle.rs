//! A torch state dict's pickle, read as data.
//!
//! The virtual machine knows the opcodes that `torch.save` uses for a state dict (protocol 2) and
//! a closed list of names. Nothing is imported or called: a name outside of the list is an error.
use std::collections::HashMap;

use super::Stored;

/// What is wrong with a torch checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TorchProblem {
    #[error("the zip container is damaged ({reason}); download it again")]
    Zip { reason: String },
    #[error("it holds no data.pkl; save it with torch.save(state_dict, path)")]
    NoPickle,
    #[error("its data.pkl is implausibly large; save the state dict alone")]
    TooLarge,
    #[error("its numbers are {order}-endian; save it on a little-endian machine")]
    ByteOrder { order: String },
    #[error("{entry} is compressed; save it with torch.save, which does not compress")]
    Compressed { entry: String },
    #[error(
        "its pickle names {name}, which a state dict of float tensors does not need; nothing was executed, do not open this file elsewhere"
    )]
    Forbidden { name: String },
    #[error("its pickle breaks off or is malformed at byte {at}; download it again")]
    Malformed { at: usize },
    #[error(
        "its pickle uses opcode {opcode:#04x} at byte {at}, which a state dict does not need; save it with torch.save and its default protocol"
    )]
    Opcode { opcode: u8, at: usize },
    #[error("it is not a dict from names to tensors; save the state dict alone")]
    NotAStateDict,
    #[error("{name} is in it twice; save it again")]
    Duplicate { name: String },
    #[error("it has no storage {key}; download it again")]
    NoStorage { key: String },
    #[error("a tensor reaches beyond its storage {key}; download it again")]
    OutOfStorage { key: String },
}

/// One tensor as the pickle describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorRecord {
    pub(super) storage: String,
    pub(super) stored: Stored,
    /// In elements.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// In elements.
    pub(super) strides: Vec<usize>,
}

impl TensorRecord {
    /// One past the last element inside the storage; `None` on overflow.
    pub(super) fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(self.offset);
        }
        let mut end = self.offset.checked_add(1)?;
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            end = end.checked_add((size - 1).checked_mul(*stride)?)?;
        }
        Some(end)
    }
}

/// The names that may appear, and what a call of them means here.
#[derive(Clone, Copy, Debug)]
enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Stored),
}

impl Name {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::Storage(Stored::F32),
            ("torch", "BFloat16Storage") => Self::Storage(Stored::Bf16),
            ("torch", "HalfStorage") => Self::Storage(Stored::F16),
            _ => return None,
        })
    }
}

/// Index into [`Machine::objects`]; objects refer to each other by it, so that neither cycles nor
/// deep nesting cost anything.
type Id = usize;

#[derive(Clone, Debug)]
enum Object {
    Mark,
    Other,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Name(Name),
    Storage { stored: Stored, key: String },
    Tensor(TensorRecord),
}

/// Reads the pickle of a state dict: the tensors by name, in file order.
pub(super) fn state_dict(bytes: &[u8]) -> Result<Vec<(String, TensorRecord)>, TorchProblem> {
    let mut machine = Machine::new(bytes);
    let root = machine.run()?;
    let Object::Dict(items) = &machine.objects[root] else {
        return Err(TorchProblem::NotAStateDict);
    };
    let named =
        items.iter().map(
            |(key, value)| match (&machine.objects[*key], &machine.objects[*value]) {
                (Object::Text(name), Object::Tensor(record)) => Ok((name.clone(), record.clone())),
                _ => Err(TorchProblem::NotAStateDict),
            },
        );
    named.collect()
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Id>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            memo: HashMap::new(),
        }
    }

    fn run(&mut self) -> Result<Id, TorchProblem> {
        loop {
            let at = self.at;
            let [opcode] = self.take()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => drop(self.take::<1>()?),
                b'(' => self.push(Object::Mark),
                b'N' | 0x88 | 0x89 => self.push(Object::Other),
                b'K' => {
                    let [value] = self.take()?;
                    self.push(Object::Int(value.into()));
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.take()?);
                    self.push(Object::Int(value.into()));
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.take()?);
                    self.push(Object::Int(value.into()));
                }
                0x8a => self.long()?,
                b'X' => self.text()?,
                b'c' => self.global()?,
                b'q' => {
                    let [slot] = self.take()?;
                    self.remember(slot.into())?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.remember(slot)?;
                }
                b'h' => {
                    let [slot] = self.take()?;
                    self.recall(slot.into())?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.recall(slot)?;
                }
                b')' => self.push(Object::Tuple(Vec::new())),
                b'}' => self.push(Object::Dict(Vec::new())),
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items));
                }
                0x85..=0x87 => self.small_tuple(usize::from(opcode - 0x84))?,
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.insert(vec![key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.insert(items)?;
                }
                // BUILD sets attributes on the OrderedDict (torch's `_metadata`): dropped.
                b'b' => drop(self.pop()?),
                b'Q' => self.storage()?,
                b'R' => self.call()?,
                _ => return Err(TorchProblem::Opcode { opcode, at }),
            }
        }
    }

    fn malformed(&self) -> TorchProblem {
        TorchProblem::Malformed { at: self.at }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], TorchProblem> {
        let bytes = self.bytes[self.at..]
            .first_chunk::<N>()
            .ok_or_else(|| self.malformed())?;
        self.at += N;
        Ok(*bytes)
    }

    fn take_slice(&mut self, len: usize) -> Result<&'a [u8], TorchProblem> {
        let bytes = self.bytes[self.at..]
            .get(..len)
            .ok_or_else(|| self.malformed())?;
        self.at += len;
        Ok(bytes)
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id, TorchProblem> {
        self.stack.pop().ok_or_else(|| self.malformed())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, TorchProblem> {
        let mark = self
            .stack
            .iter()
            .rposition(|id| matches!(self.objects[*id], Object::Mark));
        let mark = mark.ok_or_else(|| self.malformed())?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn remember(&mut self, slot: u32) -> Result<(), TorchProblem> {
        let top = *self.stack.last().ok_or_else(|| self.malformed())?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), TorchProblem> {
        let id = *self.memo.get(&slot).ok_or_else(|| self.malformed())?;
        self.stack.push(id);
        Ok(())
    }

    /// LONG1: a little-endian two's complement integer of up to eight bytes.
    fn long(&mut self) -> Result<(), TorchProblem> {
        let [len] = self.take()?;
        let bytes = self.take_slice(len.into())?;
        if bytes.len() > 8 {
            return Err(self.malformed());
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut value = [if negative { 0xff } else { 0 }; 8];
        value[..bytes.len()].copy_from_slice(bytes);
        self.push(Object::Int(i64::from_le_bytes(value)));
        Ok(())
    }

    fn text(&mut self) -> Result<(), TorchProblem> {
        let len = u32::from_le_bytes(self.take()?) as usize;
        let bytes = self.take_slice(len)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed())?;
        self.push(Object::Text(text.into()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, TorchProblem> {
        let len = self.bytes[self.at..].iter().position(|byte| *byte == b'\n');
        let len = len.ok_or_else(|| self.malformed())?;
        let line = String::from_utf8_lossy(self.take_slice(len)?).into_owned();
        self.at += 1;
        Ok(line)
    }

    fn global(&mut self) -> Result<(), TorchProblem> {
        let (module, name) = (self.line()?, self.line()?);
        let known = Name::find(&module, &name).ok_or_else(|| TorchProblem::Forbidden {
            name: format!("{module}.{name}"),
        })?;
        self.push(Object::Name(known));
        Ok(())
    }

    fn small_tuple(&mut self, len: usize) -> Result<(), TorchProblem> {
        let start = self
            .stack
            .len()
            .checked_sub(len)
            .ok_or_else(|| self.malformed())?;
        let items = self.stack.split_off(start);
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn insert(&mut self, items: Vec<Id>) -> Result<(), TorchProblem> {
        let malformed = self.malformed();
        let dict = *self.stack.last().ok_or_else(|| malformed.clone())?;
        let Object::Dict(pairs) = &mut self.objects[dict] else {
            return Err(malformed);
        };
        let (new, []) = items.as_chunks::<2>() else {
            return Err(malformed);
        };
        pairs.extend(new.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    /// BINPERSID: `("storage", type, key, device, numel)`.
    fn storage(&mut self) -> Result<(), TorchProblem> {
        let malformed = self.malformed();
        let id = self.pop()?;
        let Object::Tuple(parts) = &self.objects[id] else {
            return Err(malformed);
        };
        let [_, kind, key, _, _] = parts[..] else {
            return Err(malformed);
        };
        match (&self.objects[kind], &self.objects[key]) {
            (Object::Name(Name::Storage(stored)), Object::Text(key)) => {
                let (stored, key) = (*stored, key.clone());
                self.push(Object::Storage { stored, key });
                Ok(())
            }
            _ => Err(malformed),
        }
    }

    /// REDUCE: the only calls are those of the closed list.
    fn call(&mut self) -> Result<(), TorchProblem> {
        let malformed = self.malformed();
        let (args, callee) = (self.pop()?, self.pop()?);
        let (Object::Name(name), Object::Tuple(args)) =
            (&self.objects[callee], &self.objects[args])
        else {
            return Err(malformed);
        };
        let result = match (name, &args[..]) {
            (Name::OrderedDict, []) => Object::Dict(Vec::new()),
            (Name::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                let record = self.tensor([*storage, *offset, *shape, *strides]);
                Object::Tensor(record.ok_or(malformed)?)
            }
            (Name::RebuildParameter, [tensor, ..]) => match &self.objects[*tensor] {
                Object::Tensor(record) => Object::Tensor(record.clone()),
                _ => return Err(malformed),
            },
            _ => return Err(malformed),
        };
        self.push(result);
        Ok(())
    }

    fn tensor(&self, [storage, offset, shape, strides]: [Id; 4]) -> Option<TensorRecord> {
        let Object::Storage { stored, key } = &self.objects[storage] else {
            return None;
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        (shape.len() == strides.len()).then_some(TensorRecord {
            storage: key.clone(),
            stored: *stored,
            offset: self.size(offset)?,
            shape,
            strides,
        })
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match &self.objects[id] {
            Object::Tuple(items) => items.iter().map(|item| self.size(*item)).collect(),
            _ => None,
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        match &self.objects[id] {
            Object::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }
}
