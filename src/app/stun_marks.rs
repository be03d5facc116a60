//! What the STUN messages of a flow say about whose they are.

/// Gathered over the messages of both directions (RFC 8489 section 5 and 14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunMarks {
    /// The first REALM.
    pub realm: Option<String>,
    /// Message types, each once.
    pub types: Vec<u16>,
    /// Attribute types, each once.
    pub attributes: Vec<u16>,
}
