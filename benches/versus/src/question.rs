//! What a question, a contender and a figure are.

/// Ours, by the name it has in every table.
pub const OURS: &str = "windlass";

/// What the machine itself allows, measured in the same run.
pub const FLOOR: &str = "floor";

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Of each pool.
    pub threads: usize,
    pub quick: bool,
}

impl Settings {
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Something to compare libraries by.
#[derive(Debug)]
pub struct Question {
    pub name: &'static str,
    /// What is measured, in one line.
    pub about: &'static str,
    pub figures: &'static [Figure],
    /// Who takes part. Starts nothing yet.
    pub field: fn(&Settings) -> Field,
    pub rounds: Rounds,
    /// How many processes it takes.
    pub processes: Processes,
}

/// One number that a question gives.
#[derive(Debug)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
}

impl Figure {
    pub const fn lower(name: &'static str, unit: &'static str) -> Self {
        let better = Better::Lower;
        Self { name, unit, better }
    }

    pub const fn higher(name: &'static str, unit: &'static str) -> Self {
        let better = Better::Higher;
        Self { name, unit, better }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Better {
    Lower,
    Higher,
}

#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    pub full: usize,
    pub quick: usize,
    /// A round ahead of these that is not counted.
    pub warm_up: bool,
}

impl Rounds {
    pub const USUAL: Self = Self {
        full: 7,
        quick: 7,
        warm_up: true,
    };
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Processes {
    /// One for the question: rounds are interleaved.
    One,
    /// One for each library: for what is counted by process.
    PerLibrary,
    /// One for each of these numbers of pool threads.
    PerThreads(&'static [usize]),
}

/// Who takes part in a question, and who could not.
pub struct Field {
    pub contenders: Vec<Contender>,
    /// Names and reasons.
    pub skipped: Vec<(&'static str, String)>,
}

impl Field {
    pub fn of(contenders: Vec<Contender>) -> Self {
        Self {
            contenders,
            skipped: Vec::new(),
        }
    }

    pub fn and(mut self, contender: Contender) -> Self {
        self.contenders.push(contender);
        self
    }

    pub fn and_maybe(mut self, name: &'static str, found: Result<Contender, String>) -> Self {
        match found {
            Ok(contender) => self.contenders.push(contender),
            Err(reason) => self.skipped.push((name, reason)),
        }
        self
    }
}

/// A library that takes part. One call is one round: it starts the library,
/// warms it up, measures, checks the answers, and ends it, so that no pool is
/// there while another one is measured.
pub struct Contender {
    pub library: &'static str,
    /// Each round takes a process of its own.
    pub litters: bool,
    pub round: Box<dyn FnMut(&Settings) -> Round>,
}

impl Contender {
    pub fn new(library: &'static str, round: impl FnMut(&Settings) -> Round + 'static) -> Self {
        Self {
            library,
            litters: false,
            round: Box::new(round),
        }
    }

    pub fn floor(round: impl FnMut(&Settings) -> Round + 'static) -> Self {
        Self::new(FLOOR, round)
    }
}

/// What one round gave.
#[derive(Default)]
pub struct Round {
    /// Figures by name.
    pub figures: Vec<(&'static str, f64)>,
    /// Distributions by the name of their figure, at [`crate::stats::QUANTILES`].
    pub curves: Vec<(&'static str, Vec<f64>)>,
}

impl Round {
    pub fn of<const N: usize>(figures: [(&'static str, f64); N]) -> Self {
        Self {
            figures: figures.into(),
            curves: Vec::new(),
        }
    }
}

/// A field of the named libraries, each measured by the same generic function.
macro_rules! field {
    ($measure:ident: $($library:ty),+ $(,)?) => {
        $crate::question::Field::of(vec![$(
            $crate::question::Contender {
                library: <$library as $crate::libraries::Library>::NAME,
                litters: <$library as $crate::libraries::Library>::LITTERS,
                round: Box::new($measure::<$library>),
            }
        ),+])
    };
}
pub(crate) use field;
