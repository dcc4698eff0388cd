//! Tables for people: aligned columns, and nothing in a cell that a terminal would obey.

/// Lays `rows` out under `heads`, columns two spaces apart, no space at line ends.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let shown: Vec<Vec<String>> = std::iter::once(heads.iter().map(|head| (*head).to_owned()).collect())
        .chain(rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()))
        .collect();
    let widths: Vec<usize> = (0..heads.len())
        .map(|at| {
            shown.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &shown {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text with control characters and those that reorder or hide text written as `\u{…}`: a name that somebody else
/// chose must not move the cursor, clear the screen, or look like another name.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || hidden {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = vec![vec!["Größe".to_owned(), "x".to_owned()], vec!["b".to_owned(), "y".to_owned()]];
        assert_eq!(table(&["NAME", "ID"], &rows), "NAME   ID\nGröße  x\nb      y\n");
    }

    #[test]
    fn a_hostile_name_cannot_command_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(visible("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(visible("Größe ✓"), "Größe ✓");
    }
}
