//! How things are written.

use std::fmt::Write as _;
use std::path::Path;

/// Appends one line in the format of GNU `sha256sum`.
///
/// Names are bytes and go out as they are. One with a backslash, a newline or
/// a carriage return would not survive that, so these are escaped, and a
/// backslash at the beginning of the line says so.
pub(crate) fn push_line(lines: &mut Vec<u8>, digest: &[u8], path: &Path) {
    let name = path.as_os_str().as_encoded_bytes();
    let escaped = name
        .iter()
        .any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if escaped {
        lines.push(b'\\');
    }
    for byte in digest {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        lines.push(DIGITS[usize::from(byte >> 4)]);
        lines.push(DIGITS[usize::from(byte & 15)]);
    }
    lines.extend_from_slice(b"  ");
    for &byte in name {
        match byte {
            b'\\' => lines.extend_from_slice(br"\\"),
            b'\n' => lines.extend_from_slice(br"\n"),
            b'\r' => lines.extend_from_slice(br"\r"),
            _ => lines.push(byte),
        }
    }
    lines.push(b'\n');
}

/// One line for stderr about a path. Its name is quoted and escaped: it may
/// hold newlines, and codes that a terminal obeys.
pub(crate) fn complaint(path: &Path, why: impl std::fmt::Display) -> String {
    format!("checksum: {path:?}: {why}\n")
}

/// A number of bytes for people: `3.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{value:.1} {}", UNITS[unit]);
    text
}

/// `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
