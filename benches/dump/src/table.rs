//! Figures, and how they are shown.

use std::fmt::Write as _;
use std::time::Duration;

/// Times of one subject under one condition.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one run.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// The median in milliseconds: of an even number, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        }
    }

    /// `least–most` in milliseconds.
    pub fn span(&self) -> String {
        let sorted = self.sorted();
        format!("{}–{}", ms(sorted[0]), ms(sorted[sorted.len() - 1]))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Milliseconds, with as many digits as mean something.
pub fn ms(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A Markdown table: the first column to the left, the others to the right.
pub fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!(
        "| {} |\n|---|{}\n",
        head.join(" | "),
        "--:|".repeat(head.len() - 1)
    );
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

/// One thing that HEADER.md asks of the speed, and what was measured.
pub struct Bar {
    pub what: &'static str,
    pub needed: f64,
    pub measured: f64,
    /// Whether `needed` is the most that is allowed; otherwise it is the least.
    pub at_most: bool,
    pub unit: &'static str,
}

impl Bar {
    pub fn holds(&self) -> bool {
        if self.at_most {
            self.measured <= self.needed
        } else {
            self.measured >= self.needed
        }
    }

    pub fn row(&self) -> Vec<String> {
        let sign = if self.at_most { '≤' } else { '≥' };
        vec![
            self.what.to_owned(),
            format!("{sign} {} {}", self.needed, self.unit),
            format!("{:.1} {}", self.measured, self.unit),
            if self.holds() { "yes" } else { "**no**" }.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ms: &[u64]) -> Samples {
        let mut samples = Samples::default();
        for &ms in ms {
            samples.push(Duration::from_millis(ms));
        }
        samples
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(samples(&[9, 1, 5]).median(), 5.0);
        assert_eq!(samples(&[9, 1, 5, 6]).median(), 5.5);
        assert_eq!(samples(&[9, 1, 5]).span(), "1.0–9.0");
    }

    #[test]
    fn a_bar_holds_on_its_own_side_only() {
        let bar = |measured, at_most| Bar {
            what: "",
            needed: 10.0,
            measured,
            at_most,
            unit: "ms",
        };
        assert!(bar(10.0, true).holds() && !bar(10.1, true).holds());
        assert!(bar(10.0, false).holds() && !bar(9.9, false).holds());
    }
}
