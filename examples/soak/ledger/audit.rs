//! The end of a round: each line of the ledger must go together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::tally::{self, Fault, found};
use super::{
    CANCELLED, CLOSED, DEADLOCK, EXPIRED, Kind, Ledger, Line, OUTCOMES, PANIC, REJECTED, TIMED_OUT,
    VALUE, fact,
};

/// Looks at every line, once nobody holds the ledger any more.
pub(crate) fn audit(ledger: &Ledger) {
    let (mut rejects, mut did) = (0, BTreeMap::new());
    for (id, line) in ledger.lines() {
        for (fault, text) in faults(ledger, line) {
            found(fault, || {
                let end = ended(ledger);
                format!(
                    "round {}{end}: {text}: {}",
                    ledger.round,
                    describe(id, line)
                )
            });
        }
        rejects += of(&line.rejected) as usize;
        for what in deeds(line) {
            *did.entry(what).or_default() += 1;
        }
        *did.entry("lines in the ledgers").or_default() += 1;
    }
    let given = ledger.rejects.load(Relaxed);
    if given != rejects {
        let fault = if given < rejects {
            Fault::Duplicated
        } else {
            Fault::Lost
        };
        found(fault, || {
            format!(
                "round {}: on_reject had {given} jobs, of which {rejects} are known",
                ledger.round
            )
        });
    }
    did.into_iter()
        .for_each(|(what, times)| tally::did(what, times));
}

fn of(count: &AtomicU32) -> u32 {
    count.load(Relaxed)
}

fn ended(ledger: &Ledger) -> &'static str {
    if ledger.discarding.load(Relaxed) {
        " (backlog thrown away)"
    } else {
        ""
    }
}

/// What does not go together.
fn faults(ledger: &Ledger, line: &Line) -> Vec<(Fault, &'static str)> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, fault, text| {
        if !holds {
            faults.push((fault, text));
        }
    };
    let ran = of(&line.ran);
    let closing = ledger.closing.load(Relaxed);
    let no_room = ledger.bounded.load(Relaxed) && !line.has(fact::IN_VIEW);
    let came_back = line.has(fact::CAME_BACK);
    must(
        !came_back || ran == 0,
        Fault::Duplicated,
        "it ran, or was received, and came back",
    );
    must(of(&line.dropped) > 0, Fault::Lost, "captures never dropped");
    must(ran == of(&line.left), Fault::Lost, "its body never ended");
    let (made, dropped) = (of(&line.results_made), of(&line.results_dropped));
    must(made == dropped, Fault::Lost, "its result was never dropped");
    let (made, dropped) = (of(&line.panics_made), of(&line.panics_dropped));
    must(made == dropped, Fault::Lost, "its panic was never dropped");
    let hooked = of(&line.hooked);
    must(
        hooked <= made,
        Fault::Duplicated,
        "its panic reached the hook twice",
    );
    match line.kind() {
        Kind::Held | Kind::Letter => {}
        Kind::Executed => {
            let rejected = of(&line.rejected);
            must(
                ran + rejected > 0 || came_back,
                Fault::Lost,
                "it neither ran nor was rejected",
            );
            must(
                rejected == 0 || closing || no_room,
                Fault::Wrong,
                "rejected by an open pool that has room",
            );
            let hooked = rejected > 0 || came_back || hooked == made;
            must(hooked, Fault::Lost, "its panic did not reach the hook");
        }
        Kind::Spawned | Kind::Member => {
            must(
                ran == 0 || !line.has(fact::NEVER),
                Fault::Wrong,
                "it ran, although cancelled",
            );
            let late = fact::MAY_CANCEL | fact::NEVER | fact::DEADLINE | fact::CAME_BACK;
            let explained = ran == 1 || line.has(late) || closing || no_room;
            must(explained, Fault::Lost, "it never ran, and nothing says why");
            let goes = outcome_goes(ledger, line);
            must(
                goes,
                Fault::Wrong,
                "what its handle told does not go with the rest",
            );
        }
    }
    faults
}

/// Whether what the handle told is possible.
fn outcome_goes(ledger: &Ledger, line: &Line) -> bool {
    let ran = of(&line.ran) == 1;
    let blew = of(&line.panics_made) > 0;
    match of(&line.outcome) {
        VALUE => {
            let fails = fact::PANICS | fact::CAPTURE_BOMB | fact::NEVER;
            ran && of(&line.results_made) == 1 && !line.has(fails)
        }
        PANIC => blew && line.has(fact::PANICS | fact::CAPTURE_BOMB),
        CANCELLED => {
            let by_somebody = line.has(fact::MAY_CANCEL) || ledger.discarding.load(Relaxed);
            !ran && !blew && by_somebody && !line.has(fact::TOO_LATE)
        }
        EXPIRED => !ran && line.has(fact::DEADLINE),
        TIMED_OUT => ran && line.has(fact::TIMEOUT),
        CLOSED => !ran && !blew && ledger.closing.load(Relaxed),
        DEADLOCK => line.has(fact::SELF_WAIT),
        REJECTED => !ran && !blew && ledger.bounded.load(Relaxed) && !line.has(fact::IN_VIEW),
        _ => true,
    }
}

/// What to count it as.
fn deeds(line: &Line) -> Vec<&'static str> {
    let mut deeds = vec![match line.kind() {
        Kind::Executed => "jobs without a handle",
        Kind::Spawned => "jobs with a handle",
        Kind::Member => "jobs of sets",
        Kind::Letter => "messages",
        Kind::Held => "states of workers and shared closures",
    }];
    let handles = matches!(line.kind(), Kind::Spawned | Kind::Member);
    let ran = of(&line.ran) == 1;
    let cases = [
        (of(&line.rejected) == 1, "jobs rejected"),
        (
            of(&line.rejected) == 1 && ran,
            "jobs rejected, and run by the hook",
        ),
        (of(&line.panics_made) > 0, "panics, in bodies or drops"),
        (of(&line.hooked) > 0, "panics that reached on_panic"),
        (line.has(fact::MEDDLES), "captures whose drops spawn"),
        (line.has(fact::NEVER), "jobs cancelled for sure"),
        (line.has(fact::TOO_LATE), "jobs cancelled too late"),
        (handles && of(&line.told) == 0, "handles that nobody asked"),
        (handles && !ran, "jobs that never ran, for a reason"),
        (of(&line.outcome) == VALUE, "handles that told a value"),
        (of(&line.outcome) == PANIC, "handles that told a panic"),
        (
            of(&line.outcome) == CANCELLED,
            "handles that told cancelled",
        ),
        (of(&line.outcome) == EXPIRED, "handles that told expired"),
        (
            of(&line.outcome) == TIMED_OUT,
            "handles that told timed out",
        ),
        (of(&line.outcome) == CLOSED, "handles that told closed"),
        (of(&line.outcome) == DEADLOCK, "handles that told deadlock"),
        (of(&line.outcome) == REJECTED, "handles that told rejected"),
        (handles && line.has(fact::CAME_BACK), "jobs that came back"),
    ];
    deeds.extend(cases.iter().filter(|(is, _)| *is).map(|(_, what)| *what));
    deeds
}

/// Whether nothing of it is to come.
pub(crate) fn is_over(line: &Line) -> bool {
    line.dropped.load(Relaxed) > 0 && line.ran.load(Relaxed) == line.left.load(Relaxed)
}

/// All that the ledger says in one line.
pub(crate) fn describe(id: usize, line: &Line) -> String {
    let waits = match of(&line.waits) {
        0 => String::new(),
        other => format!(", waits for {}", other - 1),
    };
    let view = match of(&line.view) {
        0 => String::new(),
        other => format!(" in view {}", other - 1),
    };
    let outcome = OUTCOMES[of(&line.outcome) as usize];
    let rejected = match line.kind() {
        Kind::Executed => format!(", rejected {}", of(&line.rejected)),
        _ => String::new(),
    };
    format!(
        "{:?} {id}{view}: ran {}, left {}, captures dropped {}, results {}/{}, panics {}/{}, \
         hooked {}{rejected}, told {outcome}, facts {:#b}{waits}",
        line.kind(),
        of(&line.ran),
        of(&line.left),
        of(&line.dropped),
        of(&line.results_dropped),
        of(&line.results_made),
        of(&line.panics_dropped),
        of(&line.panics_made),
        of(&line.hooked),
        of(&line.facts),
    )
}
