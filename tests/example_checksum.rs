//! `examples/checksum`: what it prints is what `sha256sum -c` accepts, and what
//! it cannot hash it says.
//!
//! `cargo test` builds the examples; `cargo test --test` alone does not.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

/// The example, to be run in `directory`.
fn checksum(directory: &Path) -> Command {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/checksum");
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
        let name = format!("windlass-checksum-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // Left over, perhaps, from a process that had the same number.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: impl AsRef<[u8]>, content: &[u8]) {
        let path = self.0.join(OsStr::from_bytes(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The line for one file, as GNU's manual describes it.
fn expected(name: &[u8], content: &[u8]) -> Vec<u8> {
    let digest = Sha256::digest(content);
    let mut hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut escaped = Vec::new();
    for &byte in name {
        match byte {
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            b'\\' => escaped.extend(b"\\\\"),
            _ => escaped.push(byte),
        }
    }
    if escaped != name {
        hex.insert(0, '\\');
    }
    [hex.as_bytes(), b"  ", &escaped].concat()
}

fn lines(output: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut lines: Vec<_> = output.split(|&byte| byte == b'\n').collect();
    assert_eq!(lines.pop(), Some(&b""[..]), "the last line ends too");
    let count = lines.len();
    let set: BTreeSet<_> = lines.into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(set.len(), count, "no line comes twice");
    set
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Has the real `sha256sum` check the lines, if this system has it.
fn check_with_coreutils(directory: &Path, lines: &[u8]) {
    let version = Command::new("sha256sum").arg("--version").output();
    if !version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU")) {
        return;
    }
    let mut check = Command::new("sha256sum")
        .args(["-c", "--quiet", "--strict"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(lines).unwrap();
    let output = check.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(stderr(&output), "");
    assert!(output.status.success());
}

#[test]
fn hostile_names_and_all_sizes_pass_sha256sum() {
    let scratch = Scratch::new("names");
    let big = vec![b'k'; 3 * 1024 * 1024];
    let mut files: Vec<(&[u8], &[u8])> = vec![
        (b"plain", b"1"),
        (b"with space", b"2"),
        (b" leading space", b"3"),
        (b"new\nline", b"4"),
        (b"\\", b"5"),
        (b"back\\slash\r", b"6"),
        (b"-dash", b"7"),
        (b"-", b"8"),
        (b"*star", b"9"),
        (b"down/\n/below", b"10"),
        (b"empty", b""),
        (b"big", &big),
    ];
    // Other systems refuse such a name.
    if cfg!(target_os = "linux") {
        files.push((b"\xff\xfe", b"11"));
    }
    for (name, content) in &files {
        scratch.write(name, content);
    }

    for threads in ["1", "2", "8"] {
        let output = checksum(&scratch.0)
            .args(["--threads", threads])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let expected = files
            .iter()
            .map(|(name, content)| expected(&[b"./", *name].concat(), content))
            .collect();
        assert_eq!(lines(&output.stdout), expected);
        check_with_coreutils(&scratch.0, &output.stdout);

        let said = stderr(&output);
        assert!(
            said.contains(&format!("{} files, ", files.len())),
            "{said:?}"
        );
        assert!(said.contains("MiB/s on"), "{said:?}");
        assert!(said.contains("main loop's"), "{said:?}");
        assert_eq!(
            said.lines().count(),
            2,
            "no bar but on a terminal: {said:?}"
        );
    }
}

#[test]
fn names_are_printed_as_they_were_given() {
    let scratch = Scratch::new("given");
    scratch.write("-dash", b"1");
    scratch.write("-", b"2");
    scratch.write("down/below", b"3");
    let output = checksum(&scratch.0)
        .args(["--threads=1", "--", "-dash", "-", "down"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = BTreeSet::from([
        expected(b"-dash", b"1"),
        // A plain dash is standard input to `sha256sum -c`.
        expected(b"./-", b"2"),
        expected(b"down/below", b"3"),
    ]);
    assert_eq!(lines(&output.stdout), expected);
    check_with_coreutils(&scratch.0, &output.stdout);
}

#[test]
fn without_a_path_it_leaves_out_target_and_git() {
    let scratch = Scratch::new("default");
    for name in ["kept", "target/built", ".git/config", "down/target/kept"] {
        scratch.write(name, name.as_bytes());
    }
    let names = |output: Output| -> BTreeSet<String> {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        lines(&output.stdout)
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap().split_off(66))
            .collect()
    };
    let here = names(checksum(&scratch.0).output().unwrap());
    assert_eq!(
        here,
        ["./down/target/kept", "./kept"].map(String::from).into()
    );
    let all = names(checksum(&scratch.0).arg(".").output().unwrap());
    assert_eq!(all.len(), 4);
}

#[test]
fn every_file_of_many_in_one_directory_and_many_directories_is_hashed_once() {
    let scratch = Scratch::new("many");
    let mut all = BTreeSet::new();
    for n in 0..1500 {
        let names = [
            format!("wide/{n}"),
            format!("tree/{}/{}/{n}", n % 7, n % 90),
        ];
        for name in names {
            scratch.write(&name, name.as_bytes());
            all.insert(expected(name.as_bytes(), name.as_bytes()));
        }
    }
    let output = checksum(&scratch.0)
        .args(["wide", "tree"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(lines(&output.stdout), all);
    check_with_coreutils(&scratch.0, &output.stdout);
}

#[test]
fn what_cannot_be_hashed_is_one_line_each_and_the_rest_is_hashed() {
    let scratch = Scratch::new("failures");
    scratch.write("tree/a", b"1");
    scratch.write("tree/down/b", b"2");
    symlink("a", scratch.0.join("tree/link to a")).unwrap();
    symlink("gone", scratch.0.join("tree/dangling")).unwrap();
    symlink("itself", scratch.0.join("tree/itself")).unwrap();
    symlink("..", scratch.0.join("tree/down/up")).unwrap();
    let mut failures = vec![
        "\"no\\nsuch\"",
        "\"tree/dangling\"",
        "\"tree/itself\"",
        "\"tree/down/up\"",
    ];
    let mut expected = BTreeSet::from([
        expected(b"tree/a", b"1"),
        expected(b"tree/link to a", b"1"),
        expected(b"tree/down/b", b"2"),
    ]);
    // Unless this is the superuser, who may read everything.
    scratch.write("tree/secret", b"3");
    let secret = scratch.0.join("tree/secret");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&secret, permissions).unwrap();
    if fs::read(&secret).is_ok() {
        expected.insert(self::expected(b"tree/secret", b"3"));
    } else {
        failures.push("\"tree/secret\"");
    }

    let output = checksum(&scratch.0)
        .args(["no\nsuch", "tree"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output.stdout), expected);
    let said = stderr(&output);
    let complaints: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("checksum: "))
        .collect();
    assert_eq!(complaints.len(), failures.len(), "{said}");
    for failure in &failures {
        let about = format!("checksum: {failure}: ");
        assert!(
            complaints.iter().any(|line| line.starts_with(&about)),
            "{failure} in {said}"
        );
    }
    assert!(said.contains("a loop of links"), "{said}");
    let end = format!("{} paths could not be hashed", failures.len());
    assert!(said.ends_with(&format!("{end}\n")), "{said}");
}

#[test]
fn bad_usage_is_code_2_and_names_what_is_wrong() {
    let scratch = Scratch::new("usage");
    let cases: [(&[&str], &str); 6] = [
        (&["--threads", "zwei"], "\"zwei\""),
        (&["--threads", "0"], "\"0\""),
        (&["--threads=-1"], "\"-1\""),
        (&["--threads", "99999"], "99999"),
        (&["--frobnicate"], "\"--frobnicate\""),
        (&["--threads"], "--threads needs"),
    ];
    for (args, named) in cases {
        let output = checksum(&scratch.0).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let output = checksum(&scratch.0)
        .env("WINDLASS_NUM_THREADS", "banana")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("\"banana\""));

    let output = checksum(&scratch.0).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"Prints the SHA-256"));
}

#[test]
fn a_reader_that_hangs_up_ends_it_quietly() {
    let scratch = Scratch::new("hangup");
    scratch.write("file", b"1");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = checksum(&scratch.0)
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "");
}
