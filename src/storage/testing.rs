//! Storages of a test's own: embedded, and Postgres with S3 where the environment names them.
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

/// URL of a Postgres server's database; each test makes one of its own beside it.
const POSTGRES: &str = "NPEDIT_TEST_POSTGRES";
/// `s3://bucket`; endpoint and keys come from `AWS_*`. Each test has a prefix of its own.
const S3: &str = "NPEDIT_TEST_S3";

/// A storage, and what goes away with the test.
pub(crate) struct Kept {
    pub storage: Storage,
    pub settings: StorageSettings,
    _folder: TempDir,
    _database: Option<OwnDatabase>,
}

impl Kept {
    pub async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = embedded(&folder.path().join("a b%?"));
        Self::of((settings, folder), None).await
    }

    /// None, and the reason in the test's output, where the environment names no servers.
    pub async fn shared() -> Option<Self> {
        let (Ok(postgres), Ok(bucket)) = (std::env::var(POSTGRES), std::env::var(S3)) else {
            eprintln!(
                "skipped: {POSTGRES} and {S3} name no Postgres and no S3-compatible store; .ci/services starts both"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let name = format!("npedit_test_{}", Uuid::now_v7().simple());
        let database = OwnDatabase::make(&postgres, &name).await;
        let settings = StorageSettings {
            data_dir: folder.path().to_owned(),
            database: DatabaseChoice::Postgres(database.url.clone()),
            objects: ObjectsChoice::S3(format!("{bucket}/{name}")),
        };
        Some(Self::of((settings, folder), Some(database)).await)
    }

    async fn of(
        (settings, folder): (StorageSettings, TempDir),
        database: Option<OwnDatabase>,
    ) -> Self {
        Self {
            storage: Storage::open(&settings).await.unwrap(),
            settings,
            _folder: folder,
            _database: database,
        }
    }

    /// As a process that comes after this one finds it.
    pub async fn opened_again(self) -> Self {
        let Self {
            storage,
            settings,
            _folder,
            _database,
        } = self;
        storage.database.pool().close().await;
        drop(storage);
        Self {
            storage: Storage::open(&settings).await.unwrap(),
            settings,
            _folder,
            _database,
        }
    }
}

pub(crate) fn embedded(data_dir: &Path) -> StorageSettings {
    StorageSettings {
        data_dir: data_dir.to_owned(),
        database: DatabaseChoice::Embedded,
        objects: ObjectsChoice::Embedded,
    }
}

/// A database that is dropped with the test.
struct OwnDatabase {
    server: String,
    name: String,
    url: String,
}

impl OwnDatabase {
    async fn make(server: &str, name: &str) -> Self {
        run(server, format!("CREATE DATABASE {name}")).await;
        let (place, _) = server.rsplit_once('/').unwrap();
        Self {
            server: server.into(),
            name: name.into(),
            url: format!("{place}/{name}"),
        }
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let drop = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(run(&server, format!("DROP DATABASE {name} WITH (FORCE)")));
        };
        // a runtime cannot wait inside of another
        let _ = std::thread::spawn(drop).join();
    }
}

async fn run(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await;
    done.unwrap();
}

/// Makes two tests of each `async fn(Kept)`: on SQLite and a folder, and on Postgres and S3.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod embedded_store {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::storage::testing::Kept::embedded().await).await;
            })+
        }
        mod shared_store {
            $(#[tokio::test]
            async fn $test() {
                if let Some(kept) = crate::storage::testing::Kept::shared().await {
                    super::$test(kept).await;
                }
            })+
        }
    };
}
pub(crate) use on_every_store;
