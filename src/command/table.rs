//! Tables as kubectl prints them: columns three spaces apart, as wide as their widest cell.

use std::fmt::Write as _;

/// Lines of cells; the first is the head.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        let cells = lines.iter().filter_map(|line| line.get(i));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, "{cell:width$}   ");
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    out
}

/// How long ago something was, as kubectl has it: 45s, 12m, 3h20m, 5d.
#[cfg(feature = "cluster")]
pub fn age(seconds: i64) -> String {
    let s = seconds.max(0);
    let (m, h, d) = (s / 60, s / 3600, s / 86400);
    match (d, h, m) {
        (0, 0, 0..=1) => format!("{s}s"),
        (0, 0, 2..=9) if s % 60 > 0 => format!("{m}m{}s", s % 60),
        (0, 0..=2, _) => format!("{m}m"),
        (0, 3..=7, _) if m % 60 > 0 => format!("{h}h{}m", m % 60),
        (0..=1, _, _) => format!("{h}h"),
        (2..=7, _, _) if h % 24 > 0 => format!("{d}d{}h", h % 24),
        (2..=729, _, _) => format!("{d}d"),
        _ => format!("{}y", d / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let line = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        assert_eq!(
            table(&[line(["NAME", "X", "LAST"]), line(["a", "long", ""])]),
            "NAME   X      LAST\na      long\n"
        );
        assert_eq!(table(&[]), "");
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn ages_are_kubectls() {
        for (seconds, text) in [
            (-3, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (660, "11m"),
            (10_799, "179m"),
            (12_000, "3h20m"),
            (30_000, "8h"),
            (172_799, "47h"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (800 * 86_400, "2y"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }
}
