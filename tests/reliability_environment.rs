//! Promise: a pool is built from what the system says of the processors, and
//! works all the same where the system says nothing.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{child, for_each_size, is_child_of, run_child, watched};
use windlass::{MainLoop, Pool};

/// What a container is said to have, and how many threads a pool has then at most.
const QUOTAS: [(&str, usize); 3] = [
    ("50000 100000", 1),
    ("200000 100000", 2),
    ("max 100000", usize::MAX),
];

/// Lets this process, and what it becomes, read the folder's files where the
/// kernel says which group it is in.
const MOUNT: &str = "mount --bind \"$0/cgroup\" /proc/$$/cgroup \
    && mount --bind \"$0/mountinfo\" /proc/$$/mountinfo && exec \"$@\"";

/// The program that may mount what only it sees, with its arguments.
const UNSHARE: [&str; 3] = ["unshare", "--map-root-user", "--mount"];

/// A folder that looks like a control group with that quota.
fn group(quota: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reliability_environment");
    fs::create_dir_all(&folder).unwrap();
    let mount = format!(
        "30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n",
        folder.display()
    );
    fs::write(folder.join("cgroup"), "0::/\n").unwrap();
    fs::write(folder.join("mountinfo"), mount).unwrap();
    fs::write(folder.join("cpu.max"), format!("{quota}\n")).unwrap();
    folder
}

/// 20: of the quota of a container, which no count of the processors shows.
#[test]
fn a_quota_of_one_processor_makes_one_thread() {
    const ME: &str = "a_quota_of_one_processor_makes_one_thread";
    const MOST: &str = "WINDLASS_TEST_THREADS";
    if is_child_of(ME) {
        let most: usize = std::env::var(MOST).unwrap().parse().unwrap();
        let pool = Pool::new().unwrap();
        let threads = pool.num_threads();
        assert!((1..=most).contains(&threads), "{threads} of {most}");
        let jobs: Vec<_> = (0..1000_usize).map(|i| pool.spawn(move || i)).collect();
        let sum: usize = jobs.into_iter().map(|job| job.join().unwrap()).sum();
        assert_eq!(sum, 999 * 500);
        return;
    }
    watched(|| {
        let unspoiled = fs::read_to_string("/proc/self/cgroup").unwrap();
        for (quota, most) in QUOTAS {
            let folder = group(quota);
            let folder = folder.to_str().unwrap();
            let may = Command::new(UNSHARE[0])
                .args(&UNSHARE[1..])
                .args(["sh", "-c", MOUNT, folder, "true"])
                .status();
            if !may.is_ok_and(|status| status.success()) {
                println!("skipped: nothing can be mounted here");
                return;
            }
            let wrapper = [&UNSHARE[..], &["sh", "-c", MOUNT, folder]].concat();
            let mut command = child(ME, &wrapper);
            command.env(MOST, most.to_string());
            run_child(command);
        }
        let now = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert_eq!(now, unspoiled, "it was the children's alone");
    });
}

/// The system calls that a strict sandbox refuses: what there is to be known of
/// the processors, and wishes about how a thread is to be scheduled.
const REFUSED: [libc::c_long; 6] = [
    libc::SYS_sched_getaffinity,
    libc::SYS_openat,
    libc::SYS_sysinfo,
    libc::SYS_sched_setattr,
    libc::SYS_setpriority,
    libc::SYS_prctl,
];

/// From now on this thread, and those it starts, are refused those calls.
#[allow(unsafe_code)]
fn refuse() -> bool {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const GIVE: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt| libc::sock_filter { code, jt, jf: 0, k };
    // The number of the call is the first thing in what a filter is given.
    let mut program = vec![step(LOAD, 0, 0)];
    for (place, call) in REFUSED.iter().enumerate() {
        // Over the rest of the list, and over the permission after it.
        let jump = REFUSED.len() - place;
        program.push(step(
            IS,
            u32::try_from(*call).unwrap(),
            u8::try_from(jump).unwrap(),
        ));
    }
    program.push(step(GIVE, libc::SECCOMP_RET_ALLOW, 0));
    program.push(step(GIVE, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap(),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: takes four numbers and no memory.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if promised != 0 {
        return false;
    }
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `filter` and the program that it points to live until the call returns.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) };
    set == 0
}

/// 21: a sandbox that refuses to say how many processors there are, and to open
/// the files that do.
#[test]
fn a_sandbox_that_refuses_to_say_anything_gets_a_pool_that_works() {
    const ME: &str = "a_sandbox_that_refuses_to_say_anything_gets_a_pool_that_works";
    const SKIPPED: &str = "skipped: no filter can be set here";
    if !is_child_of(ME) {
        watched(|| {
            let output = run_child(child(ME, &[]));
            if output.contains(SKIPPED) {
                println!("{SKIPPED}");
            }
        });
        return;
    }
    if !refuse() {
        println!("{SKIPPED}");
        return;
    }
    let refused = fs::read_to_string("/proc/stat").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM), "it is refused");
    let works = |pool: &Pool| {
        let jobs: Vec<_> = (0..1000_usize).map(|i| pool.spawn(move || i)).collect();
        let sum: usize = jobs.into_iter().map(|job| job.join().unwrap()).sum();
        assert_eq!(sum, 999 * 500);
        assert!(pool.shortfall().is_none());
    };
    watched(move || {
        let pool = Pool::new().unwrap();
        assert!(pool.num_threads() >= 1);
        works(&pool);
    });
    for_each_size(move |threads| {
        let pool = common::pool(threads);
        works(&pool);
        let main = MainLoop::new();
        let late = pool.job().timeout(std::time::Duration::MAX).spawn(|| 1);
        main.on_complete(late, |_, result| assert_eq!(result.unwrap(), 1));
        main.run();
    });
}
