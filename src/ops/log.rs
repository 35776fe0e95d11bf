//! Logs: one line an event, on standard error.

use std::io::IsTerminal;
use tracing::Level;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Sends what `tracing` is told, from `level` up, to standard error. The first call in a process counts.
pub fn log_to_stderr(format: LogFormat, level: Level) {
    let to = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(level >= Level::DEBUG)
        .with_ansi(std::io::stderr().is_terminal());
    // A second subscriber would be refused: the first one stays.
    let _ = match format {
        LogFormat::Text => to.try_init(),
        LogFormat::Json => to.json().flatten_event(true).try_init(),
    };
}
