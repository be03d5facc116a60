//! Patterns of host names, and the table of them.
//! `name` is that name alone, `.name` that name and every name below it.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use foldhash::fast::RandomState;

/// RFC 1035 section 2.3.4.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    name: String,
    with_names_below: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    #[error("{0:?}: host names are written in lower case")]
    UpperCase(String),
    #[error("{0:?}: write .name for a name and every name below it")]
    Star(String),
    #[error("{0:?}: a label is empty or longer than {LABEL_MAX} bytes")]
    Label(String),
    #[error("{0:?}: longer than a host name can be")]
    Long(String),
    #[error("{0:?}: a host name has letters, digits, - and _ (others in the form xn--...)")]
    Letter(String),
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (name, with_names_below) = match text.strip_prefix('.') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let is_of_names = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, b'-' | b'_' | b'.');
        let error = match name {
            _ if name.contains('*') => PatternError::Star,
            _ if name.bytes().any(|letter| letter.is_ascii_uppercase()) => PatternError::UpperCase,
            _ if !name.bytes().all(is_of_names) => PatternError::Letter,
            _ if name.split('.').any(|label| label.is_empty() || label.len() > LABEL_MAX) => PatternError::Label,
            _ if name.len() > NAME_MAX => PatternError::Long,
            _ => return Ok(Self { name: name.into(), with_names_below }),
        };
        Err(error(text.into()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.with_names_below { "." } else { "" }, self.name)
    }
}

/// Values by pattern.
#[derive(Debug)]
pub struct PatternTable<V> {
    names: HashMap<String, V, RandomState>,
    suffixes: HashMap<String, V, RandomState>,
}

impl<V> Default for PatternTable<V> {
    fn default() -> Self {
        Self { names: HashMap::default(), suffixes: HashMap::default() }
    }
}

impl<V> PatternTable<V> {
    /// Of two values for the same pattern the first stays.
    pub fn add(&mut self, pattern: &Pattern, value: V) {
        let table = if pattern.with_names_below { &mut self.suffixes } else { &mut self.names };
        table.entry(pattern.name.clone()).or_insert(value);
    }

    /// The value of the longest pattern; a name alone beats a suffix of its length. Patterns end at borders of labels.
    pub fn longest(&self, host: &str) -> Option<&V> {
        let parents = || std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, parent)| parent));
        self.names.get(host).or_else(|| parents().find_map(|parent| self.suffixes.get(parent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(patterns: &[&str]) -> PatternTable<usize> {
        let mut table = PatternTable::default();
        patterns.iter().enumerate().for_each(|(number, pattern)| table.add(&pattern.parse().expect("a pattern"), number));
        table
    }

    #[test]
    fn the_longest_pattern_wins_and_a_name_alone_beats_a_suffix() {
        let table = table(&[".example.net", ".media.example.net", "media.example.net", "a.media.example.net"]);
        for (host, number) in [
            ("example.net", Some(0)),
            ("www.example.net", Some(0)),
            ("media.example.net", Some(2)),
            ("a.media.example.net", Some(3)),
            ("b.a.media.example.net", Some(1)),
            ("notexample.net", None),
            ("net", None),
            ("", None),
        ] {
            assert_eq!(table.longest(host).copied(), number, "{host}");
        }
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for (text, why) in [
            ("WhatsApp.net", "lower case"),
            ("*.whatsapp.net", "write .name"),
            ("a..net", "label is empty"),
            ("a.net.", "label is empty"),
            (".", "label is empty"),
            ("", "label is empty"),
            ("пример.рф", "xn--"),
            ("a b.net", "letters"),
        ] {
            let error = text.parse::<Pattern>().expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_suffix_matches_at_borders_of_labels_only(below in "[a-z0-9-]{0,8}", dot in any::<bool>()) {
            let host = format!("{below}{}t.me", if dot { "." } else { "" });
            prop_assert_eq!(table(&[".t.me"]).longest(&host).is_some(), dot || below.is_empty());
        }

        #[test]
        fn a_pattern_reads_as_it_is_written(text in "\\.?[a-z0-9_-]{1,8}(\\.[a-z0-9-]{1,8}){0,3}") {
            prop_assert_eq!(text.parse::<Pattern>().expect("a pattern").to_string(), text);
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error_and_any_host_can_be_asked(text in any::<String>()) {
            let _no_panic = text.parse::<Pattern>();
            let _no_panic = table(&[".example.net"]).longest(&text);
        }
    }
}
