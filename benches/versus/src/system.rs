//! Burners, processor time, resident memory.

use std::hint::black_box;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Works for `micros` microseconds of an undisturbed core. It is a fixed amount
/// of work, not of time: a thread that shares its core takes longer.
pub fn burn(micros: u64) {
    let rounds = micros * rounds_per_micro();
    let mut x = black_box(0x9e37_79b9_u64);
    for _ in 0..rounds {
        x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
    }
    black_box(x);
}

/// The fastest of many measurements: the one that nothing disturbed. The first
/// call takes 20 ms.
pub fn rounds_per_micro() -> u64 {
    static ROUNDS: OnceLock<u64> = OnceLock::new();
    *ROUNDS.get_or_init(|| {
        const ROUNDS: u64 = 100_000;
        let mut best = Duration::MAX;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(20) {
            let start = Instant::now();
            let mut x = black_box(0x9e37_79b9_u64);
            for _ in 0..ROUNDS {
                x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            }
            black_box(x);
            best = best.min(start.elapsed());
        }
        (ROUNDS as f64 / best.as_secs_f64() / 1e6) as u64
    })
}

/// Busy neighbours: processes that do nothing but compute. They end when this is
/// dropped, and when this process ends, however it does.
pub struct Burners(Vec<Child>);

impl Burners {
    pub fn start(count: usize) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let burners = (0..count).map(|_| {
            let mut command = Command::new(&program);
            command
                .arg("--burn")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            command.spawn().expect("a burner starts")
        });
        let mut burners = Self(burners.collect());
        for burner in &mut burners.0 {
            let output = burner.stdout.as_mut().expect("it is piped");
            output
                .read_exact(&mut [0])
                .expect("a burner says that it burns");
        }
        burners
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for burner in &mut self.0 {
            let _ = burner.kill();
            let _ = burner.wait();
        }
    }
}

/// What a burner does, until its standard input is closed.
pub fn burn_for_ever() -> ! {
    end_with_parent();
    println!("burning");
    loop {
        burn(1000);
    }
}

/// Ends this process when its standard input is closed, as happens when its
/// parent ends in whatever way.
pub fn end_with_parent() {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}

/// The processor time of all threads of this process so far; `None` where it
/// cannot be known.
pub fn cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    return Some(clock(rustix::time::ClockId::ProcessCPUTime));
    #[cfg(not(unix))]
    None
}

/// The processor time of this thread so far; `None` where it cannot be known.
pub fn own_cpu_time() -> Option<Duration> {
    #[cfg(unix)]
    return Some(clock(rustix::time::ClockId::ThreadCPUTime));
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Lets this process have as many descriptors as it may let itself have: often 1,024
/// at first, and a thousand times that in the end.
#[cfg(unix)]
pub fn allow_many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused, what needs them says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The memory that this process has in the machine's, in bytes; `None` where it
/// cannot be known.
pub fn resident() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// How many bytes of memory the machine could still give, where that can be known.
pub fn memory_left() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Keeps this thread on the `number`th of the cores that it may use, where the
/// system has a way; for what is between two cores, and must not become one.
pub fn stay_on_core(number: usize) {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let Ok(allowed) = sched_getaffinity(None) else {
            return;
        };
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        if let Some(core) = cores.nth(number) {
            let mut one = CpuSet::new();
            one.set(core);
            // Refused, the floor is only less steady.
            let _ = sched_setaffinity(None, &one);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = number;
}

/// How many cores this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
