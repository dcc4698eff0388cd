//! A chart of stacked bars over time, as numbers ready to be written into a template's SVG.
//!
//! Owns the arithmetic: a round scale, where each part of a bar stands, which bars carry a label on the axis. Promises
//! at most [`BARS_MAX`] bars, that a part that is not zero can be seen, and that no bar leaves its frame. Never writes
//! text inside the picture: labels are HTML beside it.

/// Most bars of one chart: on a phone each is still wide enough to be pointed at.
pub(crate) const BARS_MAX: usize = 60;
/// The picture's own units; it is stretched to the room there is.
pub(crate) const WIDTH: f64 = 960.0;
/// Height in the picture's own units.
pub(crate) const HEIGHT: f64 = 180.0;
/// How much of a bar's room stays empty.
const GAP: f64 = 0.2;
/// A part that is not zero is at least this high: one refusal among a million requests is still seen.
const PART_HEIGHT_MIN: f64 = 1.5;

/// One bar to draw: its words and the counts of its parts, bottom first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// What is shown on hover and focus, and told by a screen reader.
    pub(crate) words: String,
    /// What the axis says below this bar if it gets a label.
    pub(crate) tick: String,
    /// Class and count of each part.
    pub(crate) parts: Vec<(&'static str, u64)>,
}

/// A rectangle of a bar, in the picture's units with one decimal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// Its class, which gives its colour.
    pub(crate) class: &'static str,
    /// Its upper edge.
    pub(crate) y: String,
    /// Its height.
    pub(crate) height: String,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// See [`Column::words`].
    pub(crate) words: String,
    /// The left edge of its room.
    pub(crate) room_x: String,
    /// The width of its room, which answers the pointer.
    pub(crate) room_width: String,
    /// The left edge of its parts.
    pub(crate) x: String,
    /// The width of its parts.
    pub(crate) width: String,
    /// Its parts that are not zero, bottom first.
    pub(crate) parts: Vec<Part>,
}

/// The whole chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    /// Left to right.
    pub(crate) bars: Vec<Bar>,
    /// Labels of the vertical axis, from the top down to 0; one stands at each grid line.
    pub(crate) levels: Vec<String>,
    /// The heights of the grid lines, in the same order.
    pub(crate) lines: Vec<String>,
    /// Labels of the horizontal axis, each at the left of its equal share.
    pub(crate) ticks: Vec<String>,
}

impl Chart {
    /// Lays out `columns`, of which those after the first [`BARS_MAX`] are left out.
    pub(crate) fn new(columns: Vec<Column>) -> Chart {
        let count = columns.len().min(BARS_MAX);
        let most = columns.iter().take(BARS_MAX).map(total).max().unwrap_or(0);
        let (step, steps) = scale(most);
        let top = step.saturating_mul(steps);
        let levels = (0..=steps).rev().map(|at| abbreviated(step.saturating_mul(at))).collect();
        let lines = (0..=steps).map(|at| decimal(HEIGHT * share(at, steps))).collect();
        let ticks = ticks(&columns, count);
        let room = WIDTH / share_of(count.max(1));
        let bars =
            columns.into_iter().take(BARS_MAX).enumerate().map(|(at, column)| bar(at, room, top, column));
        Chart { bars: bars.collect(), levels, lines, ticks }
    }

    /// Whether there is nothing to see.
    pub(crate) fn is_empty(&self) -> bool {
        self.bars.iter().all(|bar| bar.parts.is_empty())
    }
}

fn bar(at: usize, room: f64, top: u64, column: Column) -> Bar {
    let left = room * share_of(at);
    let parts: Vec<(&'static str, f64)> = column
        .parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| (*class, (HEIGHT * share(*count, top)).max(PART_HEIGHT_MIN)))
        .collect();
    // Parts made visible may make the bar too high for the frame: then all shrink alike.
    let sum: f64 = parts.iter().map(|(_, height)| height).sum();
    let shrink = if sum > HEIGHT { HEIGHT / sum } else { 1.0 };
    let mut y = HEIGHT;
    let parts = parts
        .into_iter()
        .map(|(class, height)| {
            y -= height * shrink;
            Part { class, y: decimal(y.max(0.0)), height: decimal(height * shrink) }
        })
        .collect();
    Bar {
        words: column.words,
        room_x: decimal(left),
        room_width: decimal(room),
        x: decimal(left + room * GAP / 2.0),
        width: decimal(room * (1.0 - GAP)),
        parts,
    }
}

/// The step between grid lines and how many steps there are: 1, 2 or 5 times a power of ten, so that the labels are
/// round and the highest bar fills more than half of the frame.
fn scale(most: u64) -> (u64, u64) {
    if most <= 4 {
        return (1, 4);
    }
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step.saturating_mul(4) >= most {
                return (step, most.div_ceil(step).max(2));
            }
        }
        power = power.saturating_mul(10);
    }
}

/// As many labels as divide the bars evenly, so that each stands exactly at its bar.
fn ticks(columns: &[Column], count: usize) -> Vec<String> {
    let shares = [4, 5, 6, 3, 2].into_iter().find(|shares| count.is_multiple_of(*shares)).unwrap_or(1);
    let stride = (count / shares).max(1);
    columns.iter().take(count).step_by(stride).map(|column| column.tick.clone()).collect()
}

fn total(column: &Column) -> u64 {
    column.parts.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

#[expect(clippy::cast_precision_loss, reason = "a picture shows no difference below a tenth of its units")]
fn share(count: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "at most sixty")]
fn share_of(count: usize) -> f64 {
    count as f64
}

fn decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A round number on an axis: "500", "1.5k", "20M".
fn abbreviated(count: u64) -> String {
    for (unit, letter) in [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")] {
        if count >= unit {
            return format!("{}{letter}", decimal(share(count, unit)));
        }
    }
    count.to_string()
}

/// A count with its thousands apart: "1,204,882".
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: "1 request", "1,204 requests".
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { several })
}

/// `used` of `limit` in whole percent for a bar, never 100 before the limit is reached and never 0 once it is begun.
pub(crate) fn percent(used: u64, limit: u64) -> u8 {
    if used == 0 {
        return 0;
    }
    if used >= limit {
        return 100;
    }
    let whole = u128::from(used) * 100 / u128::from(limit);
    u8::try_from(whole).unwrap_or(99).clamp(1, 99)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(parts: &[u64]) -> Column {
        let classes = ["c-allowed", "c-denied", "c-failed"];
        let parts = classes.into_iter().zip(parts.iter().copied()).collect();
        Column { words: String::new(), tick: "00:00".to_owned(), parts }
    }

    fn number(text: &str) -> f64 {
        text.parse().unwrap()
    }

    #[test]
    fn parts_of_a_bar_stand_on_each_other_in_proportion() {
        let chart = Chart::new(vec![column(&[50, 30, 20])]);
        assert_eq!(chart.levels, ["100", "50", "0"]);
        let parts = &chart.bars[0].parts;
        assert_eq!((parts[0].y.as_str(), parts[0].height.as_str()), ("90", "90"));
        assert_eq!((parts[1].y.as_str(), parts[1].height.as_str()), ("36", "54"));
        assert_eq!((parts[2].y.as_str(), parts[2].height.as_str()), ("0", "36"));
    }

    #[test]
    fn one_refusal_among_a_million_is_seen_and_no_bar_leaves_its_frame() {
        for counts in [[1_000_000, 1, 1], [u64::MAX, 1, 0], [0, 0, 1], [u64::MAX, u64::MAX, u64::MAX]] {
            let chart = Chart::new(vec![column(&counts)]);
            for part in &chart.bars[0].parts {
                assert!(number(&part.height) >= 1.0, "{counts:?}: {part:?}");
                assert!(number(&part.y) >= 0.0, "{counts:?}: {part:?}");
                assert!(number(&part.y) + number(&part.height) <= HEIGHT + 0.2, "{counts:?}: {part:?}");
            }
        }
    }

    #[test]
    fn parts_of_nothing_are_not_drawn() {
        let chart = Chart::new(vec![column(&[0, 0, 0]), column(&[0, 0, 0])]);
        assert!(chart.is_empty());
        assert_eq!(chart.levels, ["4", "3", "2", "1", "0"]);
        assert!(Chart::new(Vec::new()).is_empty());
    }

    #[test]
    fn the_axis_is_round_and_the_highest_bar_fills_most_of_the_frame() {
        for (most, top) in [(5, "6"), (9, "10"), (42, "60"), (100, "100"), (1_204, "1.5k"), (3_999_999, "4M")]
        {
            let chart = Chart::new(vec![column(&[most])]);
            assert_eq!(chart.levels[0], top, "{most}");
            assert_eq!(chart.levels.len(), chart.lines.len());
        }
        for most in 5..5_000 {
            let (step, steps) = scale(most);
            assert!(step * steps >= most && step * steps < 2 * most, "{most}: {step} × {steps}");
        }
    }

    #[test]
    fn labels_stand_at_bars_that_divide_the_axis_evenly() {
        for (count, labels) in [(60, 4), (24, 4), (48, 4), (30, 5), (31, 1), (7, 1)] {
            assert_eq!(Chart::new(vec![column(&[1]); count]).ticks.len(), labels, "{count} bars");
        }
        assert_eq!(Chart::new(vec![column(&[1]); 90]).bars.len(), BARS_MAX);
    }

    #[test]
    fn counts_are_exact_and_a_percentage_is_whole_only_when_it_is_reached() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_204_882), "1,204,882");
        assert_eq!(counted(1, "request", "requests"), "1 request");
        assert_eq!(percent(0, 10), 0);
        assert_eq!(percent(1, 1_000_000), 1);
        assert_eq!(percent(999_999, 1_000_000), 99);
        assert_eq!(percent(7, 7), 100);
        assert_eq!(percent(1, 0), 100);
    }
}
