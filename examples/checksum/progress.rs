//! The progress bar.

use std::time::Duration;

use crate::text::size;

/// Leaves room for the numbers in 80 columns: a bar of two lines could not be
/// drawn over.
const WIDTH: usize = 12;

/// How far the work has come.
pub(crate) struct Progress {
    pub(crate) files_done: u64,
    pub(crate) files_found: u64,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_found: u64,
    /// Whether more may be found.
    pub(crate) walking: bool,
    pub(crate) elapsed: Duration,
}

impl Progress {
    /// The bar as one line of plain text.
    pub(crate) fn bar(&self) -> String {
        // Files may grow and shrink while they are read.
        let found = self.bytes_found.max(self.bytes_done).max(1);
        let share = self.bytes_done as f64 / found as f64;
        let full = (share * WIDTH as f64) as usize;
        let more = if self.walking { "+" } else { "" };
        format!(
            "[{}{}] {}/{}{more} files, {}/{}{more}, {}/s",
            "=".repeat(full),
            " ".repeat(WIDTH - full),
            self.files_done,
            self.files_found,
            size(self.bytes_done),
            size(self.bytes_found),
            size((self.bytes_done as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64),
        )
    }
}
