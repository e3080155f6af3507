//! The command line.

use std::time::Duration;

pub(crate) const USAGE: &str = "\
Mixes everything the library can do, at random, and accounts for every job.

Usage: soak [--minutes M | --seconds S] [--seed N]

  --minutes M   how long, in minutes (fractions will do)
  --seconds S   how long, in seconds (default: 10)
  --seed N      where the random numbers begin (default: from the clock)
  -h, --help    this text

Progress goes to stderr. Exit codes: 0, all is accounted for; 1, something was
lost, duplicated, wrong or hung (stderr says what); 2, usage.
";

/// What the user asks for.
pub(crate) enum Request {
    Help,
    Soak(Args),
}

pub(crate) struct Args {
    pub(crate) length: Duration,
    /// `None`: from the clock.
    pub(crate) seed: Option<u64>,
}

/// Reads the arguments; the error is for the user, and names what is wrong.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut args = args;
    let (mut length, mut seed) = (None, None);
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        if matches!(name.as_str(), "-h" | "--help") {
            return Ok(Request::Help);
        }
        if !matches!(name.as_str(), "--minutes" | "--seconds" | "--seed") {
            return Err(format!("unknown argument {name:?}"));
        }
        let value = value.or_else(|| args.next());
        let value = value.ok_or_else(|| format!("{name} needs a number after it"))?;
        let twice = match name.as_str() {
            "--seed" => seed.replace(whole(&value)?).is_some(),
            "--minutes" => length.replace(span(&name, &value, 60.0)?).is_some(),
            _ => length.replace(span(&name, &value, 1.0)?).is_some(),
        };
        if twice {
            return Err(format!("{name}: that was given before"));
        }
    }
    let length = length.unwrap_or(Duration::from_secs(10));
    Ok(Request::Soak(Args { length, seed }))
}

fn whole(value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("--seed takes a whole number from 0 to 2^64 - 1, not {value:?}"))
}

fn span(name: &str, value: &str, unit: f64) -> Result<Duration, String> {
    let number = value.parse::<f64>().ok().filter(|number| *number > 0.0);
    number
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| format!("{name} takes a number above 0, not {value:?}"))
}
