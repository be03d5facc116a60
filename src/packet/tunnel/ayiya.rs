//! AYIYA (draft-massar-v6ops-ayiya-02 section 3): identity and signature of stated lengths, then IPv6.

use super::super::view::View;
use super::super::walk::{Layer, Outer};
use super::Inside;
use crate::model::words::TunnelKind;

const FORWARD: u8 = 1;
const IPV6: u8 = 41;
const HEADER_BYTES: usize = 8;
/// The last values that the draft defines: integer or string, SHA-1 or less, shared secret or public key.
const IDENTITY_MAX: u8 = 2;
const HASH_MAX: u8 = 3;
const AUTHENTICATION_MAX: u8 = 2;

pub fn inside(view: View<'_>, outer: Outer) -> Inside<'_> {
    let [identity, signature, operation, next] = view.array(0)?;
    let known = identity & 0x0f <= IDENTITY_MAX && signature & 0x0f <= HASH_MAX && operation >> 4 <= AUTHENTICATION_MAX;
    if !known || operation & 0x0f != FORWARD || next != IPV6 {
        return None;
    }
    let identity_bytes = 1 << (identity >> 4);
    let signature_bytes = usize::from(signature >> 4) * 4;
    Some((Layer::Ip, view.skip(HEADER_BYTES + identity_bytes + signature_bytes)?, outer.enter(TunnelKind::Ayiya, None)?))
}
