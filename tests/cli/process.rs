//! Runs `npedit` in an empty directory with an environment of its own.
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// One run, finished.
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    /// Asserts the exit code and that the message says each of `parts`.
    #[track_caller]
    pub fn fails_with(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert!(self.stdout.is_empty());
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no {part:?} in: {}",
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    #[track_caller]
    pub fn succeeds(&self) -> String {
        assert_eq!(self.code, 0, "{}", self.stderr);
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// `npedit ARGS` in `dir`, which is also the home of its caches.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_npedit"));
    command.args(args).current_dir(dir).env_clear();
    command
        .env("HOME", dir)
        .env("HF_HOME", dir.join("hf"))
        .env("NO_PROXY", "127.0.0.1");
    command
}

pub fn npedit(dir: &Path, args: &[&str]) -> Run {
    finish(command(dir, args).stdin(Stdio::null()).output().unwrap())
}

pub fn finish(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
