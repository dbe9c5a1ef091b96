//! A bundle, a recipe and settings, and the processes that run on them.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use npedit::models::random::{self, Preset};
use tempfile::TempDir;

use crate::{
    client::Client,
    process::{Run, command, npedit},
    shared::Shared,
};

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(180);
pub const LEASE: Duration = Duration::from_secs(2);

/// The smallest recipe with a judge, a teacher, pictures and several checkpoints.
const RECIPE: &str = r#"
steps = 4
[batch]
size = 1
micro = 1
[tuning]
rank = 2
[fake_score]
updates = 1
rank = 2
[optimiser]
learning_rate = 1e-2
[samples]
every = 2
rows = 1
"#;

static BUNDLE: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    random::write(&dir.path().join("mine"), Preset::Tiny, 0).unwrap();
    dir
});

/// Settings and data of one test.
pub struct Place {
    dir: TempDir,
    /// What every process finds in its environment.
    variables: Vec<(String, String)>,
    shared: Option<Shared>,
}

impl Place {
    /// On SQLite and a folder.
    pub fn embedded() -> Self {
        Self::new("", Vec::new(), None)
    }

    /// On Postgres and S3, where there are some.
    pub async fn shared() -> Option<Self> {
        let shared = Shared::new().await?;
        let (database, objects) = (&shared.database_url, &shared.objects_url);
        let storage = format!("database_url = {database:?}\nobjects_url = {objects:?}\n");
        Some(Self::new(&storage, Shared::keys(), Some(shared)))
    }

    pub fn new(storage: &str, variables: Vec<(String, String)>, shared: Option<Shared>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("recipes")).unwrap();
        fs::write(dir.path().join("recipes/mine.toml"), RECIPE).unwrap();
        let settings = format!(
            "[storage]\n{storage}\n[model]\nreference = {:?}\ndevice = \"cpu\"\n[log]\nformat = \"json\"\n[engine]\nthreads = 1\n\
             [server]\nport = 0\n[finetune]\nrecipes_dir = {:?}\nregression_edits = 2\nmax_held_out = 2\nlease_secs = {}\n\
             checkpoint_interval_secs = 0\n",
            BUNDLE.path().join("mine"),
            dir.path().join("recipes"),
            LEASE.as_secs(),
        );
        fs::write(dir.path().join("npedit.toml"), settings).unwrap();
        Self {
            dir,
            variables,
            shared,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("npedit-data")
    }

    /// Of a place on S3.
    pub fn objects_url(&self) -> &str {
        &self.shared.as_ref().unwrap().objects_url
    }

    /// The service, which runs jobs too; it listens when this returns.
    pub fn serve(&self, more: &[(&str, &str)]) -> Process {
        self.start("serve", more).listening()
    }

    /// The service that leaves jobs to workers.
    pub fn serve_alone(&self) -> Process {
        self.serve(&[("NPEDIT__FINETUNE__RUN", "workers")])
    }

    pub fn worker(&self) -> Process {
        self.start("worker", &[])
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `npedit finetune` to its end.
    pub fn finetune(&self, args: &[&str]) -> Run {
        let all = [
            &["finetune", "--config", "npedit.toml", "--recipe", "mine"][..],
            args,
        ]
        .concat();
        npedit(self.dir.path(), &all)
    }

    /// `npedit finetune`, left running.
    pub fn start_finetune(&self, args: &[&str]) -> Process {
        let all = [
            &["finetune", "--config", "npedit.toml", "--recipe", "mine"][..],
            args,
        ]
        .concat();
        self.spawn(&all, &[])
    }

    /// Without waiting for anything.
    pub fn start(&self, role: &str, more: &[(&str, &str)]) -> Process {
        self.spawn(&[role, "--config", "npedit.toml"], more)
    }

    fn spawn(&self, args: &[&str], more: &[(&str, &str)]) -> Process {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let log = self.dir.path().join(format!("{}-{number}.log", args[0]));
        let mut command = command(self.dir.path(), args);
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let child = command
            .envs(variables)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process {
            child,
            log,
            url: String::new(),
        }
    }
}

/// One `npedit`; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    url: String,
}

impl Process {
    fn listening(mut self) -> Self {
        let address = self.logged("listening", "address");
        self.url = format!("http://{address}");
        self
    }

    /// Waits for a line of the log with `part`; answers its field `name`.
    fn logged(&mut self, part: &str, name: &str) -> String {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let ended = self.child.try_wait().unwrap();
            let line = self
                .log()
                .lines()
                .find(|line| line.contains(part))
                .map(str::to_owned);
            if let Some(line) = line {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                return line[name].as_str().unwrap().to_owned();
            }
            assert!(ended.is_none(), "it ended: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {part:?} in {}", self.log());
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the log has `part`.
    pub fn until_logged(&self, part: &str) {
        let start = Instant::now();
        while !self.log().contains(part) {
            assert!(start.elapsed() < PATIENCE, "no {part:?} in {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Whether it ended by itself within `patience`, and how.
    pub fn ended(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.log());
        }
    }
}

/// Files below `folder`, sorted, with their paths from there; some may vanish meanwhile.
pub fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => found.extend(
                files(&path)
                    .into_iter()
                    .map(|file| format!("{name}/{file}")),
            ),
            false => found.push(name),
        }
    }
    found.sort();
    found
}
