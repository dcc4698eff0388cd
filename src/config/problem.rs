//! What is wrong with a configuration file, where, and what was expected there.
//!
//! Owns places in a file and how problems are shown: `file:line:column: message`, the line, a caret, what was
//! expected. Promises to show each problem once, in the order of the file, at most 100 of them, and no control
//! character or password of the file. Never prints; that is the command line's.

use std::fmt;

use super::conceal::shown_lines;

/// Most problems shown for one file: more help nobody, and a file of a million wrong lines stays cheap.
const SHOWN_MAX: usize = 100;
/// Most characters shown of a line; longer lines are cut around the caret.
const EXCERPT_CHARS_MAX: usize = 100;

/// A place in the file: where something begins, and how many characters of that line it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// In characters; `usize::MAX` for "to the end of the line".
    pub(crate) width: usize,
}

/// A value and the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// None: the file as a whole.
    pub(crate) place: Option<Place>,
    /// What is wrong.
    pub(crate) message: String,
    /// The known name that is nearest to the one written.
    pub(crate) nearest: Option<String>,
    /// What was expected there, or what to do.
    pub(crate) expected: String,
}

/// Collects problems while the rest of the file is read.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Problem>);

impl Findings {
    /// Notes that what stands at `place` is wrong.
    pub(crate) fn refuse(&mut self, place: Place, message: impl Into<String>, expected: impl Into<String>) {
        self.0.push(Problem {
            place: Some(place),
            message: message.into(),
            nearest: None,
            expected: expected.into(),
        });
    }

    /// Notes that a name is not one of `known`, and which of them is nearest; gives that.
    pub(crate) fn refuse_name<'k>(
        &mut self,
        place: Place,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Option<&'k str> {
        let nearest = nearest(name, known);
        self.0.push(Problem {
            place: Some(place),
            message: message.into(),
            nearest: nearest.map(str::to_owned),
            expected: expected.into(),
        });
        nearest
    }

    /// How many there are so far: a mark for [`Findings::also_expected`].
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds an alternative to what the problems since `mark` expected.
    pub(crate) fn also_expected(&mut self, mark: usize, alternative: &str) {
        for problem in self.0.iter_mut().skip(mark) {
            problem.expected = format!("{}, or {alternative}", problem.expected);
        }
    }

    /// The problems of `file`, whose text is `source`; none where nothing was found.
    pub(crate) fn into_problems(self, file: &str, source: &str) -> Option<Problems> {
        let mut found = self.0;
        found.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
        // A node that several aliases name is read, and found wrong, several times.
        found.dedup();
        if found.is_empty() { None } else { Some(Problems::new(found, file, source)) }
    }
}

/// Every problem of one configuration file. `Display` shows them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    shown: Vec<(Problem, Option<Excerpt>)>,
    count: usize,
}

impl std::error::Error for Problems {}

impl Problems {
    fn new(mut found: Vec<Problem>, file: &str, source: &str) -> Problems {
        let count = found.len();
        found.truncate(SHOWN_MAX);
        let lines = shown_lines(source);
        let shown = found
            .into_iter()
            .map(|problem| {
                let line = problem.place.and_then(|place| lines.get(place.line.checked_sub(1)?));
                let excerpt = problem.place.zip(line).map(|(place, line)| Excerpt::cut(line, place));
                (problem, excerpt)
            })
            .collect();
        Problems { file: file.to_owned(), shown, count }
    }

    /// The one thing that is wrong with a file that cannot be read any further.
    pub(crate) fn single(
        file: &str,
        source: &str,
        place: Option<Place>,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) -> Problems {
        let problem = Problem { place, message: message.into(), nearest: None, expected: expected.into() };
        Problems::new(vec![problem], file, source)
    }

    /// How many problems the file has, at least 1.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self
            .shown
            .iter()
            .filter_map(|(problem, _)| problem.place)
            .map(|place| place.line.to_string().len())
            .max()
            .unwrap_or(1);
        for (problem, excerpt) in &self.shown {
            f.write_str(&self.file)?;
            if let Some(place) = problem.place {
                write!(f, ":{}:{}", place.line, place.column)?;
            }
            writeln!(f, ": {}", problem.message)?;
            if let (Some(place), Some(excerpt)) = (problem.place, excerpt) {
                writeln!(f, " {:>gutter$} | {}", place.line, excerpt.text)?;
                write!(f, " {:>gutter$} | {:indent$}", "", "", indent = excerpt.indent)?;
                f.write_str(&"^".repeat(excerpt.carets))?;
                if let Some(nearest) = &problem.nearest {
                    write!(f, " did you mean `{nearest}`?")?;
                }
                f.write_str("\n")?;
            }
            writeln!(f, " {:>gutter$} = {}\n", "", problem.expected)?;
        }
        let unshown = self.count - self.shown.len();
        if unshown > 0 {
            writeln!(f, "{}: {unshown} more problems are not shown\n", self.file)?;
        }
        let noun = if self.count == 1 { "problem" } else { "problems" };
        write!(f, "{}: {} {noun}", self.file, self.count)
    }
}

/// What is shown of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    indent: usize,
    carets: usize,
}

impl Excerpt {
    /// Cuts `chars`, a line as it may be shown, around `place`.
    fn cut(chars: &[char], place: Place) -> Excerpt {
        let at = place.column.saturating_sub(1).min(chars.len());
        let carets = place.width.clamp(1, (chars.len() - at).max(1));
        let from = if at + carets.min(EXCERPT_CHARS_MAX / 2) > EXCERPT_CHARS_MAX {
            at - EXCERPT_CHARS_MAX / 4
        } else {
            0
        };
        let mut text = String::from(if from > 0 { "…" } else { "" });
        let indent = at - from + text.chars().count();
        text.extend(chars.iter().skip(from).take(EXCERPT_CHARS_MAX));
        if chars.len() > from + EXCERPT_CHARS_MAX {
            text.push('…');
        }
        let carets = carets.min((text.chars().count() - indent.min(text.chars().count())).max(1));
        Excerpt { text: text.trim_end().to_owned(), indent, carets }
    }
}

/// The nearest of `known` to `name`, where it is near enough to be what was meant.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A name far longer than any known one is not a typo, and the distance costs the product of both lengths.
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .filter(|known| known.len() <= 64)
        .map(|known| (strsim::damerau_levenshtein(&lower, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_only_where_it_is_near() {
        let known = ["listen", "workers", "trusted_proxies"];
        assert_eq!(nearest("wrokers", known), Some("workers"));
        assert_eq!(nearest("trusted-proxies", known), Some("trusted_proxies"));
        assert_eq!(nearest("Workers", known), Some("workers"));
        assert_eq!(nearest("tls", known), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line: Vec<char> = format!("{}bad{}", "a".repeat(5_000), "b".repeat(5_000)).chars().collect();
        let excerpt = Excerpt::cut(&line, Place { line: 1, column: 5_001, width: 3 });
        assert_eq!(excerpt.carets, 3);
        let under: String = excerpt.text.chars().skip(excerpt.indent).take(3).collect();
        assert_eq!(under, "bad");
        assert!(excerpt.text.chars().count() <= EXCERPT_CHARS_MAX + 2);
    }
}
