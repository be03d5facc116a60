//! Patterns of `--source NAME=GLOB`: `*`, `?` and `[...]` over a path as it was given.
//!
//! `*` crosses folders: a capture point is usually a folder with more folders in it. In brackets `a-z` is a range, `!` or `^` negates.

/// Whether a path means more than one file.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Whether the whole path fits the pattern.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    let (mut at, mut pos) = (0, 0);
    // Where to go on when what follows the last star does not fit: greedy, so that the time stays quadratic.
    let mut retry: Option<(usize, usize)> = None;
    while pos < path.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, pos));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], path[pos]) {
            at += length;
            pos += 1;
        } else if let Some((after_star, start)) = retry {
            retry = Some((after_star, start + 1));
            (at, pos) = (after_star, start + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&left| left == '*')
}

/// The length of the pattern's first element where it fits this character.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some((set, length)) => within(set, character).then_some(length),
            None => (character == '[').then_some(1), // never closed, so it stands for itself
        },
        &literal => (literal == character).then_some(1),
    }
}

/// What stands between brackets, and the length with them. A bracket that comes first closes nothing.
fn class(pattern: &[char]) -> Option<(&[char], usize)> {
    let negation = usize::from(matches!(pattern.get(1), Some('!' | '^')));
    let close = (negation + 2..pattern.len()).find(|&position| pattern[position] == ']')?;
    Some((&pattern[1..close], close + 1))
}

fn within(set: &[char], character: char) -> bool {
    let (negated, mut set) = match set {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let [first, rest @ ..] = set {
        if let ['-', last, after @ ..] = rest {
            found |= (*first..=*last).contains(&character);
            set = after;
        } else {
            found |= *first == character;
            set = rest;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_as_in_a_shell_but_a_star_crosses_folders() {
        for (pattern, path) in [
            ("captures/probe7/*", "captures/probe7/2024/01.pcap"),
            ("*.pcap", "a/b.pcap"),
            ("probe?.pcap", "probe7.pcap"),
            ("probe[1-37].pcap", "probe7.pcap"),
            ("probe[!1-3].pcap", "probe7.pcap"),
            ("a*b*c", "aXbXbc"),
            ("[]]x", "]x"),
            ("[x", "[x"),
            ("-", "-"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.pcap", "a.pcapng"), ("probe?", "probe12"), ("probe[1-3]", "probe7"), ("probe[^7]", "probe7"), ("", "a"), ("a", "")]
        {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]!-]{0,20}", path in "[a\\[\\]-]{0,40}") {
            matches(&pattern, &path);
            prop_assert!(matches("*", &path));
        }
    }
}
