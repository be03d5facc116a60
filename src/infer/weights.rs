//! What items of evidence are worth: a versioned data file.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::words::{Family, Word};

const BUILT_IN: &str = include_str!("weights.toml");

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("weights: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("weights: item {item}: family {family} is none of the known ones")]
    Family { item: String, family: String },
}

/// Family and weight of every item.
#[derive(Clone, Debug)]
pub struct Weights {
    pub version: String,
    items: BTreeMap<String, (Family, f64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    #[serde(rename = "date")]
    _date: String,
    item: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    family: String,
    weight: f64,
    #[serde(rename = "source")]
    _source: String,
}

impl Weights {
    pub fn built_in() -> Result<Self, WeightsError> {
        Self::parse(BUILT_IN)
    }

    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        let File { version, item, .. } = toml::from_str(text)?;
        let weigh = |(id, entry): (String, Entry)| match Family::from_word(&entry.family) {
            Some(family) => Ok((id, (family, entry.weight))),
            None => Err(WeightsError::Family { item: id, family: entry.family }),
        };
        Ok(Self { version, items: item.into_iter().map(weigh).collect::<Result<_, _>>()? })
    }

    /// An item without a weight says nothing.
    pub fn of(&self, item: &str) -> (Family, f64) {
        self.items.get(item).copied().unwrap_or((Family::Form, 0.0))
    }
}
