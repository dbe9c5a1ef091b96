//! One set of tables and queries for SQLite and Postgres.
use std::{
    path::Path,
    sync::Once,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sqlx::{
    Any, AnyPool, Executor, Row, SqlSafeStr, Transaction,
    any::AnyPoolOptions,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{DatabaseChoice, StorageError};

/// How long a request waits for a connection: one that waits longer is better told so.
const PATIENCE: Duration = Duration::from_secs(3);
/// Connections of one process to Postgres.
const CONNECTIONS: u32 = 8;
const NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
const FILE: &str = "npedit.db";
/// Oldest first; what is released never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "jobs", include_str!("tables/1-jobs.sql")),
    (2, "access", include_str!("tables/2-access.sql")),
    (3, "captured", include_str!("tables/3-captured.sql")),
];

/// Where the two databases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A pool of connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
    /// When this process started, by the wall and by the clock that never goes back.
    started: (Duration, Instant),
}

impl Database {
    pub(super) async fn open(
        choice: &DatabaseChoice,
        directory: &Path,
    ) -> Result<Self, StorageError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let options = AnyPoolOptions::new().acquire_timeout(PATIENCE);
        let (dialect, pool) = match choice {
            // One connection: writers wait for each other in the pool, and none meets a locked database.
            DatabaseChoice::Embedded => {
                let options = options.max_connections(1).after_connect(|connection, _| {
                    Box::pin(async move {
                        connection.execute("PRAGMA journal_mode = WAL").await?;
                        Ok(())
                    })
                });
                let pool = options.connect(&sqlite_url(&directory.join(FILE))).await?;
                (Dialect::Sqlite, pool)
            }
            DatabaseChoice::Postgres(url) => {
                let pool = options.max_connections(CONNECTIONS).connect(url).await?;
                (Dialect::Postgres, pool)
            }
        };
        migrations().run(&pool).await?;
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            pool,
            dialect,
            started: (wall.unwrap_or_default(), Instant::now()),
        })
    }

    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// # Errors
    /// [`StorageError::Database`].
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, StorageError> {
        Ok(self.pool.begin().await?)
    }

    /// Milliseconds since 1970, by a clock that everyone who shares the rows shares, and that no correction of the wall clock
    /// sets back while a process lives.
    ///
    /// # Errors
    /// [`StorageError::Database`].
    pub async fn now_ms(&self) -> Result<i64, StorageError> {
        match self.dialect {
            Dialect::Sqlite => Ok(self.own_now_ms()),
            Dialect::Postgres => {
                let row = sqlx::query(NOW).fetch_one(&self.pool).await?;
                Ok(row.try_get(0)?)
            }
        }
    }

    /// [`Self::now_ms`], asked of the transaction's own connection.
    ///
    /// # Errors
    /// [`StorageError::Database`].
    pub async fn now_in(&self, tx: &mut Transaction<'static, Any>) -> Result<i64, StorageError> {
        match self.dialect {
            Dialect::Sqlite => Ok(self.own_now_ms()),
            Dialect::Postgres => {
                let row = sqlx::query(NOW).fetch_one(&mut **tx).await?;
                Ok(row.try_get(0)?)
            }
        }
    }

    fn own_now_ms(&self) -> i64 {
        let (wall, since) = self.started;
        (wall + since.elapsed()).as_millis() as i64
    }
}

fn migrations() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(*version, (*name).into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

fn sqlite_url(path: &Path) -> String {
    let path = path.to_string_lossy();
    let path = path.replace('%', "%25").replace('?', "%3F");
    format!("sqlite://{}?mode=rwc", path.replace('#', "%23"))
}
