//! The list of configurations for Encrypted Client Hello (RFC 9849 section 4).

use super::name;
use crate::app::{Cursor, ParseError};

const VERSION: u16 = 0xfe0d;
/// A list holds one configuration for each key that is in use.
const CONFIGS_MAX: usize = 8;
const SUITES_MAX: usize = 16;

/// One configuration: enough to tell a real ECH extension from grease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EchConfig {
    pub version: u16,
    pub config_id: u8,
    pub kem: u16,
    /// KDF and AEAD of each suite.
    pub suites: Vec<(u16, u16)>,
    pub maximum_name_length: u8,
    /// The name that the outer hello shows.
    pub public_name: String,
}

/// Configurations of the version that is known; others are passed over, as a client does.
pub(super) fn read_list(cursor: &mut Cursor<'_>) -> Result<Vec<EchConfig>, ParseError> {
    let mut list = cursor.block_u16("ech.list")?;
    let mut configs = Vec::new();
    while !list.is_empty() && configs.len() < CONFIGS_MAX {
        let version = list.u16("ech.version")?;
        let mut contents = list.block_u16("ech.contents")?;
        if version == VERSION {
            configs.push(read_contents(&mut contents)?);
        }
    }
    Ok(configs)
}

fn read_contents(contents: &mut Cursor<'_>) -> Result<EchConfig, ParseError> {
    let config_id = contents.u8("ech.config_id")?;
    let kem = contents.u16("ech.kem")?;
    contents.block_u16("ech.public_key")?;
    let mut list = contents.block_u16("ech.suites")?;
    let mut suites = Vec::new();
    while !list.is_empty() && suites.len() < SUITES_MAX {
        suites.push((list.u16("ech.kdf")?, list.u16("ech.aead")?));
    }
    let maximum_name_length = contents.u8("ech.maximum_name_length")?;
    let mut public_name = String::new();
    name::escape(contents.block_u8("ech.public_name")?.rest(), b"\\", &mut public_name);
    contents.block_u16("ech.extensions")?;
    Ok(EchConfig { version: VERSION, config_id, kem, suites, maximum_name_length, public_name })
}
