//! Markdown tables, and what numbers look like in them.

/// Prints a title and a table.
pub(crate) fn print(title: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("\n#### {title}\n");
    println!("| {} |", columns.join(" | "));
    let rules: Vec<&str> = (0..columns.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
    println!("|{}|", rules.join("|"));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// The value below which this share of `values` lies. Sorts them.
pub(crate) fn percentile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1).min(last)).copied().unwrap_or_default()
}

/// p50, p99 and the largest of `values` in microseconds, as milliseconds.
pub(crate) fn spread_ms(values: &mut [u64]) -> Vec<String> {
    [0.5, 0.99, 1.0].map(|share| millis(percentile(values, share))).to_vec()
}

/// Microseconds as milliseconds.
pub(crate) fn millis(micros: u64) -> String {
    format!("{:.2}", micros as f64 / 1000.0)
}
