//! The fields that name an adapter.
use super::{form::EditForm, receipt::Receipt};
use crate::{
    access::Caller,
    adapters::AdapterSourceError,
    engine::{AppliedAdapter, Engine, EngineError, Permit},
    http::{
        description::bounded,
        fields::{Fields, Need},
        problem::Problem,
    },
};

/// Longest name that is looked for, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Strongest effect that a request may ask for; beyond it no picture is left.
pub const MAX_SCALE: f64 = 8.0;

/// An adapter as a request names it.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterChoice {
    pub name: String,
    /// 1 is as strong as it was trained.
    pub scale: f64,
}

impl AdapterChoice {
    /// `None` where none is named.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let named = fields.has("adapter");
        let advice = "name an adapter, or leave it out";
        let name = bounded(fields, "adapter", Need::Optional, (MAX_NAME_BYTES, advice));
        let scale = fields.number("adapter_scale", Need::Optional, -MAX_SCALE..=MAX_SCALE);
        if scale.is_some() && !named {
            fields.refuse(
                "adapter_scale",
                "is for an adapter; name one in adapter, or leave it out",
            );
        }
        if scale == Some(0.0) {
            fields.refuse("adapter_scale", "is 0, which is no adapter; leave both out");
        }
        Some(Self {
            name: name?,
            scale: scale.unwrap_or(1.0),
        })
    }

    /// The adapter that the form names, else that of its receipt. One that only the receipt names and that is not here is left
    /// to [`Receipt::check`], which lists it beside everything else that differs.
    pub async fn load(
        form: &EditForm,
        engine: &Engine,
        (permit, caller): (&Permit, &Caller),
    ) -> Result<Option<AppliedAdapter>, Problem> {
        if let Some(Self { name, scale }) = form.adapter.clone() {
            let viewer = caller.viewer.clone();
            return Ok(Some(engine.adapter(permit, viewer, name, scale).await?));
        }
        let receipt = form.receipt.as_ref();
        let Some(Self { name, scale }) = receipt.and_then(Receipt::adapter) else {
            return Ok(None);
        };
        let viewer = caller.viewer.clone();
        match engine.adapter(permit, viewer, name, scale).await {
            Ok(adapter) => Ok(Some(adapter)),
            Err(EngineError::Adapter(AdapterSourceError::Unknown { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
