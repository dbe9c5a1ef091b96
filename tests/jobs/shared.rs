//! A database and a prefix of a bucket of a test's own, on the servers that the environment names.
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const POSTGRES: &str = "NPEDIT_TEST_POSTGRES";
const S3: &str = "NPEDIT_TEST_S3";

pub struct Shared {
    server: String,
    name: String,
    pub database_url: String,
    pub objects_url: String,
}

impl Shared {
    /// None, and the reason in the test's output, where the environment names no servers.
    pub async fn new() -> Option<Self> {
        let (Ok(server), Ok(bucket)) = (std::env::var(POSTGRES), std::env::var(S3)) else {
            eprintln!(
                "skipped: {POSTGRES} and {S3} name no Postgres and no S3-compatible store; .ci/services starts both"
            );
            return None;
        };
        let name = format!("npedit_test_{}", uuid::Uuid::now_v7().simple());
        run(&server, format!("CREATE DATABASE {name}")).await;
        let (place, _) = server.rsplit_once('/').unwrap();
        Some(Self {
            database_url: format!("{place}/{name}"),
            objects_url: format!("{bucket}/{name}"),
            server,
            name,
        })
    }

    /// `AWS_*`, as the servers take them.
    pub fn keys() -> Vec<(String, String)> {
        std::env::vars()
            .filter(|(name, _)| name.starts_with("AWS_"))
            .collect()
    }
}

impl Drop for Shared {
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
    let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut connection);
    done.await.unwrap();
}
