//! Versions of QUIC: what they are called, how their long headers are laid out, what their Initial packets are protected with.

/// A version number (RFC 8999 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub u32);

/// What a version derives its Initial keys from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secrets {
    pub salt: [u8; 20],
    pub labels: Labels,
}

/// Names of the keys (RFC 9001 section 5.1, RFC 9369 section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    pub key: &'static str,
    pub iv: &'static str,
    pub hp: &'static str,
}

const LABELS: Labels = Labels { key: "quic key", iv: "quic iv", hp: "quic hp" };
/// draft-ietf-quic-tls-21 and -22, section 5.2.
const DRAFT_21: Secrets = secrets(b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a");
/// draft-ietf-quic-tls-23 to -28.
const DRAFT_23: Secrets = secrets(b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02");
/// draft-ietf-quic-tls-29 to -32.
const DRAFT_29: Secrets = secrets(b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99");
/// RFC 9001 section 5.2; since draft -33.
const V1: Secrets = secrets(b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a");
/// RFC 9369 section 3.3.
const V2: Secrets = Secrets {
    salt: *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
    labels: Labels { key: "quicv2 key", iv: "quicv2 iv", hp: "quicv2 hp" },
};
/// Google's, from quiche, `InitialSaltForVersion`.
const Q050: Secrets = secrets(b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45");
const T050: Secrets = secrets(b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10");
const T051: Secrets = secrets(b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d");

const fn secrets(salt: &[u8; 20]) -> Secrets {
    Secrets { salt: *salt, labels: LABELS }
}

impl Version {
    /// Of a Version Negotiation packet (RFC 9000 section 17.2.1).
    pub const NEGOTIATION: Self = Self(0);
    pub const V1: Self = Self(1);
    pub const V2: Self = Self(0x6b33_43cf);
    pub const Q046: Self = Self(u32::from_be_bytes(*b"Q046"));
    const Q050: Self = Self(u32::from_be_bytes(*b"Q050"));
    const T050: Self = Self(u32::from_be_bytes(*b"T050"));
    const T051: Self = Self(u32::from_be_bytes(*b"T051"));
    /// Meta's: like draft -22.
    const MVFST_1: Self = Self(0xface_b001);
    /// Like draft -27.
    const MVFST_2: Self = Self(0xface_b002);
    const MVFST_E: Self = Self(0xface_b00e);

    /// The draft of the IETF whose number it carries.
    fn draft(self) -> Option<u8> {
        (self.0 >> 8 == 0x00ff_0000).then_some(self.0 as u8)
    }

    /// Google QUIC's number, as in `Q043`: its own crypto, in clear until 46.
    pub fn google(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [b'Q', b'0', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + ones - b'0'),
            _ => None,
        }
    }

    /// RFC 9000 section 15: 0x?a?a?a?a, so that servers learn to negotiate.
    pub fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Somebody speaks it, whether or not its packets can be opened.
    pub fn is_known(self) -> bool {
        !self.secrets().is_empty() && !self.is_reserved() || self.google().is_some() || self.draft().is_some_and(|draft| (1..=34).contains(&draft))
    }

    /// What opens its Initial packets, if anything does: drafts from -22 on have today's header, and those before it are no longer spoken. Under a
    /// reserved version a client uses the keys of one it really speaks.
    pub fn secrets(self) -> &'static [Secrets] {
        match self {
            Self::V1 => &[V1],
            Self::V2 => &[V2],
            Self::Q050 => &[Q050],
            Self::T050 => &[T050],
            Self::T051 => &[T051],
            Self::MVFST_1 => &[DRAFT_21],
            Self::MVFST_2 | Self::MVFST_E => &[DRAFT_23],
            _ if self.is_reserved() => &[V1, DRAFT_29],
            _ => match self.draft() {
                Some(22) => &[DRAFT_21],
                Some(23..=28) => &[DRAFT_23],
                Some(29..=32) => &[DRAFT_29],
                Some(33 | 34) => &[V1],
                _ => &[],
            },
        }
    }

    /// Transport parameters are a struct of TLS, as they were up to draft -26.
    pub fn has_old_parameters(self) -> bool {
        self == Self::MVFST_1 || self.draft().is_some_and(|draft| draft <= 26)
    }
}

/// The name of a version: `v1`, `v2`, `draft-29`, `Q043` and `T051` of Google, `mvfst-1`, `mvfst-2` and `mvfst-e` of Meta, any other in hex (`0x1a2a3a4a`).
pub fn version_name(version: u32) -> String {
    let [family, rest @ ..] = version.to_be_bytes();
    match Version(version) {
        Version::V1 => "v1".into(),
        Version::V2 => "v2".into(),
        Version::MVFST_1 => "mvfst-1".into(),
        Version::MVFST_2 => "mvfst-2".into(),
        Version::MVFST_E => "mvfst-e".into(),
        other => match other.draft() {
            Some(draft) => format!("draft-{draft:02}"),
            None if matches!(family, b'Q' | b'T') && rest.iter().all(u8::is_ascii_digit) => version.to_be_bytes().map(char::from).iter().collect(),
            None => format!("0x{version:08x}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_people_use() {
        let names = [1, 0x6b33_43cf, 0xff00_001d, 0x5130_3433, 0x5430_3531, 0xface_b00e, 0x1a2a_3a4a, 0xff00_0005].map(version_name);
        assert_eq!(names, ["v1", "v2", "draft-29", "Q043", "T051", "mvfst-e", "0x1a2a3a4a", "draft-05"]);
    }

    #[test]
    fn a_reserved_version_is_nobodys() {
        let reserved = Version(0x1a2a_3a4a);
        assert!(reserved.is_reserved() && !reserved.is_known());
        assert!(Version(0xff00_0013).is_known() && Version(0xff00_0013).secrets().is_empty(), "too old to be opened");
    }
}
