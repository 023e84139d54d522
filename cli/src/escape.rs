//! Text from elsewhere, made safe for a terminal.

use core::fmt;

/// Shows `text` with every character that could steer a terminal or mislead its reader written as an escape.
///
/// These are the C0 and C1 controls, DEL, the line separators, and the controls of writing direction, with which text
/// can be made to look like other text (Unicode UAX #9 §2).
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = self.0;
        while let Some(at) = plain.find(is_misleading) {
            let (before, rest) = plain.split_at(at);
            f.write_str(before)?;
            let mut rest = rest.chars();
            if let Some(character) = rest.next() {
                write!(f, "{}", character.escape_default())?;
            }
            plain = rest.as_str();
        }
        f.write_str(plain)
    }
}

/// Writes JSON in several lines, in which such characters are escapes, too: those of JSON, which mean the same.
pub(crate) struct EscapedJson<'a>(pub(crate) &'a serde_json::Value);

impl fmt::Display for EscapedJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in format!("{:#}", self.0).chars() {
            if character != '\n' && is_misleading(character) {
                // All of them are in the first plane, and stand in strings.
                write!(f, "\\u{:04x}", u32::from(character))?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

fn is_misleading(character: char) -> bool {
    // `is_control` is general category Cc: C0, DEL and C1.
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_means_the_same_without_controls() {
        let value = serde_json::json!({ "a": "x\u{1b}[2J\u{202e}\u{85}\n", "b": 1 });
        let text = EscapedJson(&value).to_string();
        assert!(text.chars().all(|character| character == '\n' || !is_misleading(character)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn plain_text_of_any_script_is_left_alone() {
        for text in ["", "plain", "grüße, 世界", r"C:\new"] {
            assert_eq!(Escaped(text).to_string(), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(Escaped("a\x1b[2Jb\n").to_string(), r"a\u{1b}[2Jb\n");
        assert_eq!(Escaped("\0\x7f\u{9b}31m").to_string(), r"\u{0}\u{7f}\u{9b}31m");
    }

    #[test]
    fn controls_of_writing_direction_are_escaped() {
        assert_eq!(Escaped("a\u{202e}b\u{2066}c\u{200f}").to_string(), r"a\u{202e}b\u{2066}c\u{200f}");
    }
}
