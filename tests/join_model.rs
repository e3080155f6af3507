//! Random programs of joins against what they give one step after another: the same
//! results, the same panic, and everything dropped once.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{EXPECTED, SIZES, hush, pool, watched};
use proptest::prelude::*;
use windlass::{join, join_all};

#[derive(Clone, Debug)]
enum Program {
    /// Some work, and its result.
    Leaf(u8),
    Panic(u8),
    Join(Box<Self>, Box<Self>),
    Three(Box<(Self, Self, Self)>),
    Many(Vec<Self>),
    /// A job of its own, joined.
    Spawn(Box<Self>),
    /// A panic in there becomes a value.
    Catch(Box<Self>),
}

fn programs() -> impl Strategy<Value = Program> {
    let leaf = prop_oneof![
        12 => any::<u8>().prop_map(Program::Leaf),
        1 => any::<u8>().prop_map(Program::Panic),
    ];
    leaf.prop_recursive(7, 120, 5, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            6 => (boxed(), boxed()).prop_map(|(a, b)| Program::Join(a, b)),
            2 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|three| Program::Three(Box::new(three))),
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Program::Many),
            1 => boxed().prop_map(Program::Spawn),
            1 => boxed().prop_map(Program::Catch),
        ]
    })
}

/// How many leaves were begun, panics included.
type Begun = AtomicUsize;

fn leaf(n: u8, begun: &Begun) -> u64 {
    begun.fetch_add(1, Ordering::Relaxed);
    (0..u64::from(n)).fold(u64::from(n), |sum, step| {
        std::hint::black_box(sum * 31 + step) % 9973
    })
}

fn panic_with(n: u8, begun: &Begun) -> ! {
    begun.fetch_add(1, Ordering::Relaxed);
    panic!("{EXPECTED}: {n}")
}

/// The first panic, or the result; everything is begun, whatever panics.
fn serially(program: &Program, begun: &Begun) -> Result<u64, u8> {
    let all = |parts: &[&Program]| {
        let results: Vec<_> = parts.iter().map(|part| serially(part, begun)).collect();
        results
            .into_iter()
            .try_fold(1_u64, |sum, result| Ok(mix(sum, result?)))
    };
    match program {
        Program::Leaf(n) => Ok(leaf(*n, begun)),
        Program::Panic(n) => {
            begun.fetch_add(1, Ordering::Relaxed);
            Err(*n)
        }
        Program::Join(a, b) => all(&[a, b]),
        Program::Three(three) => all(&[&three.0, &three.1, &three.2]),
        Program::Many(parts) => all(&parts.iter().collect::<Vec<_>>()),
        Program::Spawn(inner) => serially(inner, begun),
        Program::Catch(inner) => Ok(serially(inner, begun).unwrap_or_else(u64::from)),
    }
}

fn mix(sum: u64, result: u64) -> u64 {
    (sum * 7 + result) % 99_991
}

fn on_the_pool(program: &Program, begun: &std::sync::Arc<Begun>) -> u64 {
    match program {
        Program::Leaf(n) => leaf(*n, begun),
        Program::Panic(n) => panic_with(*n, begun),
        Program::Join(a, b) => {
            let (a, b) = join(|| on_the_pool(a, begun), || on_the_pool(b, begun));
            mix(mix(1, a), b)
        }
        Program::Three(three) => {
            let (a, b, c) = join_all((
                || on_the_pool(&three.0, begun),
                || on_the_pool(&three.1, begun),
                || on_the_pool(&three.2, begun),
            ));
            mix(mix(mix(1, a), b), c)
        }
        Program::Many(parts) => {
            let closures: Vec<_> = parts
                .iter()
                .map(|part| || on_the_pool(part, begun))
                .collect();
            join_all(closures).into_iter().fold(1, mix)
        }
        Program::Spawn(inner) => {
            let (inner, begun) = (inner.clone(), begun.clone());
            let spawner = windlass::Spawner::current().expect("this is a job");
            let job = spawner.spawn(move || on_the_pool(&inner, &begun));
            job.join()
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        }
        Program::Catch(inner) => caught(|| on_the_pool(inner, begun)).unwrap_or_else(u64::from),
    }
}

/// The number in the panic's text.
fn caught(f: impl FnOnce() -> u64) -> Result<u64, u8> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast::<String>().expect("a panic of this test");
        text.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 200 }))]

    #[test]
    fn a_program_of_joins_does_what_it_does_serially(program in programs()) {
        hush();
        watched(move || {
            for threads in SIZES {
                let pool = pool(threads);
                let (serial, parallel) = (Begun::default(), std::sync::Arc::new(Begun::default()));
                let expected = serially(&program, &serial);
                for _ in 0..3 {
                    let (program, begun) = (program.clone(), parallel.clone());
                    let job = pool.spawn(move || caught(|| on_the_pool(&program, &begun)));
                    assert_eq!(job.join().unwrap(), expected, "on {threads} threads");
                }
                let serial = serial.into_inner();
                assert_eq!(parallel.swap(0, Ordering::Relaxed), 3 * serial);

                // Cancelled, it does not begin, or goes on to its end.
                let begun = parallel.clone();
                let program = program.clone();
                let job = pool.spawn(move || caught(|| on_the_pool(&program, &begun)));
                let cancelled = job.cancel();
                match job.join() {
                    Ok(result) => assert_eq!((cancelled, result), (false, expected)),
                    Err(error) => assert!(cancelled && error.is_cancelled()),
                }
                let begun = if cancelled { 0 } else { serial };
                assert_eq!(parallel.load(Ordering::Relaxed), begun);
            }
        });
    }
}
