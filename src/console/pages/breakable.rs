//! E-mail addresses in headings, where a line may end after the `@` before it ends inside a word.

use std::fmt;

/// An address, written as HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breakable(String);

impl Breakable {
    /// Any text; only an `@` makes a difference.
    pub(crate) fn new(text: &str) -> Breakable {
        Breakable(text.to_owned())
    }
}

impl fmt::Display for Breakable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '@' => f.write_str("@<wbr>")?,
                '<' => f.write_str("&#60;")?,
                '>' => f.write_str("&#62;")?,
                '&' => f.write_str("&#38;")?,
                '"' => f.write_str("&#34;")?,
                '\'' => f.write_str("&#39;")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// Whatever means something in HTML is escaped above.
impl askama::filters::HtmlSafe for Breakable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_end_after_the_at_and_nothing_of_the_text_is_markup() {
        assert_eq!(Breakable::new("a@b.example").to_string(), "a@<wbr>b.example");
        assert_eq!(Breakable::new("<b>\"&'").to_string(), "&#60;b&#62;&#34;&#38;&#39;");
    }
}
