//! A bar for what takes its time, where somebody is watching.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};

/// For that many things; hidden where nobody sees it, or where one is all there is.
pub fn bar(len: usize) -> ProgressBar {
    if len < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr();
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    ProgressBar::with_draw_target(Some(len as u64), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
