//! Runs `npedit` with something to read.
use std::{io::Write, path::Path, process::Stdio};

use crate::process::{Run, command, finish};

/// Like [`npedit`], with bytes on stdin.
pub fn npedit_with_stdin(dir: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut child = command(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read: a broken pipe is fine.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    finish(child.wait_with_output().unwrap())
}
