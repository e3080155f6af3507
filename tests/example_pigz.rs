//! `examples/pigz`: what it writes is what `gzip -t` and `gunzip` accept, in one member and
//! the same for any number of threads, and what it cannot compress it says.
//!
//! `cargo test` builds the examples; `cargo test --test` alone does not.
#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use flate2::read::GzDecoder;

/// What a job is given: the first block is longer by a window of deflate.
const BLOCK: usize = 128 * 1024;
const FIRST: usize = BLOCK + 32 * 1024;

/// The example, to be run in `directory`.
fn pigz(directory: &Path) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/pigz");
    assert!(
        program.exists(),
        "{program:?} is not there: run `cargo build --examples` first"
    );
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env_remove("WINDLASS_NUM_THREADS");
    command
}

/// A directory that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("windlass-pigz-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left over, perhaps, from a process that had the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What cannot be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| noise()).collect()
}

/// What can be, and finds its matches also far back.
fn text(length: usize) -> Vec<u8> {
    let words = noise(40_000);
    let lines = words.chunks(8).cycle().enumerate();
    let mut text: Vec<u8> = lines
        .flat_map(|(n, words)| format!("{:x?} {}\n", words, n % 97).into_bytes())
        .take(length)
        .collect();
    text.truncate(length);
    text
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs it with this on stdin. A thread writes that, since no pipe holds all of it.
fn pour(mut command: Command, input: Vec<u8>) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // An error is that of who hung up, and shows in the output.
    let writes = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap();
    output
}

/// What is in the one member that there is; by the system's gunzip too, if it has one.
fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut decoder = GzDecoder::new(packed);
    let mut unpacked = Vec::new();
    decoder.read_to_end(&mut unpacked).unwrap();
    let rest = decoder.into_inner();
    assert!(rest.is_empty(), "{} bytes after it", rest.len());

    if Command::new("gzip").arg("--version").output().is_ok() {
        for option in ["-t", "-dc"] {
            let mut gzip = Command::new("gzip");
            gzip.arg(option);
            let output = pour(gzip, packed.to_vec());
            assert_eq!(stderr(&output), "");
            assert!(output.status.success());
            assert!(option == "-t" || output.stdout == unpacked);
        }
    }
    unpacked
}

#[test]
fn every_size_and_content_comes_back() {
    let scratch = Scratch::new("sizes");
    let mut sizes = vec![0, 1, 10, 300_000];
    for exact in [BLOCK, FIRST, FIRST + BLOCK, FIRST + 3 * BLOCK] {
        sizes.extend([exact - 1, exact, exact + 1]);
    }
    for size in sizes {
        for content in [text(size), noise(size), vec![0; size]] {
            scratch.write("file", &content);
            let output = pigz(&scratch.0).args(["-p2", "file", "-f"]).output();
            let output = output.unwrap();
            assert_eq!(
                (output.status.code(), stderr(&output)),
                (Some(0), "".into())
            );
            assert!(output.stdout.is_empty());
            assert_eq!(scratch.names(), ["file", "file.gz"]);
            assert!(scratch.read("file") == content, "the input is kept");
            let packed = scratch.read("file.gz");
            assert!(unpack(&packed) == content, "{size}");
            // Incompressible data grow by little.
            assert!(
                packed.len() < size + size / 500 + 100,
                "{size}: {}",
                packed.len()
            );
        }
    }
}

#[test]
fn every_level_is_one_and_no_number_of_threads_is() {
    let scratch = Scratch::new("levels");
    let content = [text(400_000), noise(50_000)].concat();
    let mut packed = Vec::new();
    for level in 0..=9 {
        let of = |threads: &str| {
            let mut command = pigz(&scratch.0);
            command.args([&format!("-{level}"), "-p", threads]);
            let output = pour(command, content.clone());
            assert_eq!(
                (output.status.code(), stderr(&output)),
                (Some(0), "".into())
            );
            output.stdout
        };
        let of_two = of("2");
        assert!(of("1") == of_two && of("8") == of_two, "{level}");
        assert!(unpack(&of_two) == content, "{level}");
        packed.push(of_two.len());
    }
    assert!(packed[0] > content.len() && packed[9] < packed[6] && packed[6] < packed[1]);
}

/// Blocks are compressed side by side, and yet find what was before them.
#[test]
fn a_block_sees_what_was_before_it() {
    let scratch = Scratch::new("window");
    // Compressible only by looking back over the border of a block.
    let content = noise(30_000).repeat(20);
    let output = pour(pigz(&scratch.0), content.clone());
    assert!(unpack(&output.stdout) == content);
    let len = output.stdout.len();
    assert!(len < 45_000, "{len}");
}

#[test]
fn stdin_goes_to_stdout_without_names_and_by_its_own() {
    let scratch = Scratch::new("stdin");
    let content = text(300_000);
    let plain = pour(pigz(&scratch.0), content.clone());
    assert!(unpack(&plain.stdout) == content);
    let mut named = pigz(&scratch.0);
    named.arg("-");
    assert!(pour(named, content.clone()).stdout == plain.stdout);

    scratch.write("-dash", &content);
    let mut to_stdout = pigz(&scratch.0);
    to_stdout.args(["-c", "--", "-dash"]);
    assert!(to_stdout.output().unwrap().stdout == plain.stdout);
    assert_eq!(scratch.names(), ["-dash"]);
}

/// Neither waits for more than there is: what was written is there when the input ends,
/// however slowly it came.
#[test]
fn input_that_comes_in_drops_is_whole() {
    let scratch = Scratch::new("drops");
    let content = text(200_000);
    let mut child = pigz(&scratch.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for drop in content.chunks(997) {
        stdin.write_all(drop).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(unpack(&output.stdout) == content);
}

#[test]
fn what_is_there_is_overwritten_only_if_that_is_asked_for() {
    let scratch = Scratch::new("force");
    scratch.write("file", b"new");
    scratch.write("other", b"precious");
    symlink("other", scratch.0.join("file.gz")).unwrap();
    let output = pigz(&scratch.0).arg("file").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "pigz: file.gz: is there already; use -f to overwrite it\n"
    );
    assert_eq!(scratch.read("file.gz"), b"precious");

    let output = pigz(&scratch.0).args(["-f", "file"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(unpack(&scratch.read("file.gz")), b"new");
    assert_eq!(scratch.read("other"), b"precious", "a link is replaced");
}

#[test]
fn the_output_is_for_whom_the_input_is() {
    let scratch = Scratch::new("mode");
    scratch.write("secret", b"s");
    let path = scratch.0.join("secret");
    fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    assert!(pigz(&scratch.0).arg("secret").status().unwrap().success());
    let packed = fs::metadata(scratch.0.join("secret.gz")).unwrap();
    assert_eq!(packed.permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_cannot_be_done_is_said_and_the_rest_is_done() {
    let scratch = Scratch::new("errors");
    scratch.write("good", b"good");
    scratch.write("packed.gz", b"x");
    fs::create_dir(scratch.0.join("directory")).unwrap();
    let output = pigz(&scratch.0)
        .args(["missing", "directory", "packed.gz", "good"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "pigz: missing: No such file or directory (os error 2)\n\
         pigz: directory: is not a regular file; use -c to read it all the same\n\
         pigz: packed.gz: already ends in .gz\n"
    );
    assert_eq!(
        scratch.names(),
        ["directory", "good", "good.gz", "packed.gz"]
    );
    assert_eq!(unpack(&scratch.read("good.gz")), b"good");

    // An error in the middle: a directory opens, and cannot be read.
    let output = pigz(&scratch.0).args(["-c", "directory"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("pigz: directory: "),
        "{output:?}"
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let scratch = Scratch::new("arguments");
    for (args, said) in [
        (&["-x"][..], "unknown option \"-x\""),
        (&["--best"], "unknown option \"--best\""),
        (&["-p"], "-p needs a number"),
        (&["-p0"], "-p takes a whole number from 1"),
        (&["-9p", "many"], "-p takes a whole number from 1"),
        (&[""], "an empty path"),
    ] {
        let output = pigz(&scratch.0).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let help = pigz(&scratch.0).arg("-h").output().unwrap();
    assert!(help.status.success() && help.stdout.starts_with(b"Compresses files"));
}

/// An endless input: it ends because nobody reads the output.
#[test]
fn a_reader_that_hangs_up_ends_it_quietly() {
    let scratch = Scratch::new("pipe");
    let mut child = pigz(&scratch.0)
        .args(["-c", "/dev/zero"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(stderr(&output), "");
}

/// The most memory that it had, in KiB, after so much input, while nobody reads the output.
#[cfg(target_os = "linux")]
fn peak(directory: &Path, input: &str, taken: usize) -> usize {
    let mut child = pigz(directory)
        .args(["-0", "-p2", "-c", input])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..taken / buffer.len() {
        stdout.read_exact(&mut buffer).unwrap();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdout);
    child.wait().unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_input() {
    let scratch = Scratch::new("memory");
    let peak = peak(&scratch.0, "/dev/zero", 256 << 20);
    assert!(peak < 32 * 1024, "{peak} KiB");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    let scratch = Scratch::new("full");
    scratch.write("file", &noise(300_000));
    let mut command = pigz(&scratch.0);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.args(["-c", "file"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "pigz: stdout: No space left on device (os error 28)\n"
    );
}

/// Half a file would be taken for a whole one.
#[test]
fn what_cannot_be_written_to_its_end_is_not_left_there() {
    let scratch = Scratch::new("limit");
    scratch.write("file", &noise(300_000));
    let pigz = pigz(&scratch.0);
    let output = Command::new("sh")
        .current_dir(&scratch.0)
        // No file may be larger than some kilobytes, and that is an error and no signal.
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" file"])
        .arg(pigz.get_program())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("pigz: file.gz: File too large"),
        "{output:?}"
    );
    assert_eq!(scratch.names(), ["file"]);
}
