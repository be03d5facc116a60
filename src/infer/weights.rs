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
    /// A hash of the file.
    pub fingerprint: String,
    items: BTreeMap<String, Worth>,
}

/// What one item is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    pub family: Family,
    pub weight: f64,
    /// It proves by itself that the packet is not the claimed sender's.
    pub proves: bool,
    /// So strongly that it needs no comparison.
    pub decides: bool,
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
    #[serde(default)]
    proves: bool,
    #[serde(default)]
    decides: bool,
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
            Some(family) => Ok((id, Worth { family, weight: entry.weight, proves: entry.proves, decides: entry.decides })),
            None => Err(WeightsError::Family { item: id, family: entry.family }),
        };
        let fingerprint = blake3::hash(text.as_bytes()).to_hex()[..16].into();
        Ok(Self { version, fingerprint, items: item.into_iter().map(weigh).collect::<Result<_, _>>()? })
    }

    #[cfg(test)]
    pub fn items(&self) -> impl Iterator<Item = (&str, &Worth)> {
        self.items.iter().map(|(item, worth)| (item.as_str(), worth))
    }

    /// An item without a weight says nothing.
    pub fn of(&self, item: &str) -> Worth {
        self.items.get(item).copied().unwrap_or(Worth { family: Family::Form, weight: 0.0, proves: false, decides: false })
    }
}
