//! Tables for spreadsheets: CSV (RFC 4180) that no spreadsheet takes for a formula.
//!
//! Promises that no cell begins, and nothing after a separator within a cell begins, with what spreadsheet programs
//! evaluate: such text is led by an apostrophe. Never drops anything of a cell.

use std::borrow::Cow;

/// What begins a formula, in its wide forms too, which some programs read alike.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What some programs split cells at, whatever the file's own separator is.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Writes rows into a sheet that begins with `header`.
///
/// # Errors
/// Where the writer does not take a row, which a buffer in memory always does.
pub(crate) fn sheet(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        // Quoted throughout, so that no program guesses where a cell ends.
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| guarded(cell).into_owned()))?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// `cell` with an apostrophe before each place where a spreadsheet would begin to evaluate it: at its beginning, though
/// blanks come first, and after a separator within it.
fn guarded(cell: &str) -> Cow<'_, str> {
    let begins_formula = |text: &str| text.trim_start_matches(is_blank).starts_with(FORMULA);
    // A cell that begins with a separator is suspicious by itself: programs skip it and look again.
    let leads = cell.starts_with(SEPARATORS) || begins_formula(cell);
    let mut guarded = String::from(if leads { "'" } else { "" });
    let mut whole = leads;
    for piece in cell.split_inclusive(SEPARATORS) {
        if whole || !begins_formula(piece) {
            guarded.push_str(piece);
        } else {
            guarded.push('\'');
            guarded.push_str(piece);
        }
        // The apostrophe at the beginning covers blanks up to the first thing that is none.
        whole = whole && piece.chars().all(is_blank);
    }
    if guarded.len() == cell.len() { Cow::Borrowed(cell) } else { Cow::Owned(guarded) }
}

/// Skipped by the eye and by some programs: white space, control characters, quotation marks, and what has no width.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(
            character,
            '"' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for hostile in [
            "=cmd|' /C calc'!A0",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\rx",
            "  =1",
            "\u{feff}=1",
            "\u{200f}=1",
            "＝1",
            "\"=1",
        ] {
            let cell = guarded(hostile);
            assert_eq!(cell, format!("'{hostile}"));
        }
    }

    #[test]
    fn a_separator_inside_a_cell_does_not_begin_a_formula() {
        assert_eq!(guarded("a;=1"), "a;'=1");
        assert_eq!(guarded("a\n\t@x"), "a\n\t'@x");
        assert_eq!(guarded("=1;=2"), "'=1;'=2");
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for ordinary in ["", "Invoice importer", "a=b", "2026-11-23", "größe – ok", "Ünïcode", "'quoted'"]
        {
            assert_eq!(guarded(ordinary), ordinary);
        }
    }

    #[test]
    fn cells_are_quoted_and_rows_end_as_the_standard_says() {
        let rows = vec![vec!["a \"b\", c".to_owned(), "=1".to_owned()]];
        let sheet = sheet(&["one", "two"], rows).unwrap();
        assert_eq!(String::from_utf8(sheet).unwrap(), "\"one\",\"two\"\r\n\"a \"\"b\"\", c\",\"'=1\"\r\n");
    }
}
