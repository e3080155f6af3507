//! The command line.

use std::ffi::OsString;

pub(crate) const USAGE: &str = "\
Compresses files as gzip does, on all cores. Each FILE becomes FILE.gz, and is kept.

Usage: pigz [-LEVEL] [-p THREADS] [-c] [-f] [--] [FILE]...

  -0 .. -9    how much effort: 1 is the fastest, 9 the smallest, 6 the default
  -p THREADS  how many pool threads (default: one per core)
  -c          write to stdout
  -f          overwrite FILE.gz; write to a terminal
  -k          keep the input, which is done anyway
  -h, --help  this text

Without a FILE, or where it is -, stdin is compressed to stdout.

Exit codes: 0, all compressed; 1, something was not (stderr says what).
";

/// What the user asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Compress(Args),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) level: u32,
    /// `None`: the pool's own default.
    pub(crate) threads: Option<usize>,
    pub(crate) to_stdout: bool,
    pub(crate) force: bool,
    /// At least one.
    pub(crate) files: Vec<OsString>,
}

/// Reads the arguments; the error is for the user, and names what is wrong.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args;
    let mut parsed = Args {
        level: 6,
        threads: None,
        to_stdout: false,
        force: false,
        files: Vec::new(),
    };
    while let Some(arg) = args.next() {
        match arg.as_encoded_bytes() {
            b"--help" => return Ok(Request::Help),
            b"--" => parsed.files.extend(args.by_ref()),
            b"" => return Err("an empty path names nothing".into()),
            [b'-', _, ..] => {
                let options = arg.to_str().filter(|arg| !arg.starts_with("--"));
                let options = options.ok_or_else(|| unknown(&arg))?;
                let mut options = options[1..].chars();
                while let Some(option) = options.next() {
                    match option {
                        '0'..='9' => parsed.level = u32::from(option) - u32::from('0'),
                        'c' => parsed.to_stdout = true,
                        'f' => parsed.force = true,
                        'k' => {}
                        'h' => return Ok(Request::Help),
                        'p' => {
                            let rest = options.as_str();
                            let here = (!rest.is_empty()).then(|| OsString::from(rest));
                            parsed.threads = Some(threads(here.or_else(|| args.next()))?);
                            break;
                        }
                        _ => return Err(unknown(&arg)),
                    }
                }
            }
            _ => parsed.files.push(arg),
        }
    }
    if parsed.files.is_empty() {
        parsed.files.push("-".into());
    }
    Ok(Request::Compress(parsed))
}

fn unknown(arg: &OsString) -> String {
    format!("unknown option {arg:?} (a path? put -- before it)")
}

fn threads(value: Option<OsString>) -> Result<usize, String> {
    let value = value.ok_or("-p needs a number of threads after it")?;
    let number = value.to_str().and_then(|value| value.parse().ok());
    number
        .filter(|&threads| threads > 0)
        .ok_or_else(|| format!("-p takes a whole number from 1, not {value:?}"))
}
