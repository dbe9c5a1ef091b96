use sqlx::Row;

use super::*;

fn embedded(folder: &Path) -> StorageSettings {
    StorageSettings {
        data_dir: folder.join("a b%?"),
        database: DatabaseChoice::Embedded,
        objects: ObjectsChoice::Embedded,
    }
}

#[tokio::test]
async fn one_process_at_a_time_opens_a_directory_and_finds_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = embedded(folder.path());
    let storage = Storage::open(&settings).await.unwrap();
    let insert = "INSERT INTO aliases (owner, name, adapter, version) VALUES ('me', $1, $2, $3)";
    let insert = sqlx::query(insert).bind("best").bind("abc").bind(1i64);
    insert.execute(storage.database.pool()).await.unwrap();
    let second = Storage::open(&settings).await.unwrap_err();
    assert!(matches!(second, StorageError::InUse { .. }), "{second}");
    drop(storage);
    let storage = Storage::open(&settings).await.unwrap();
    let row = sqlx::query("SELECT adapter, version FROM aliases WHERE name = $1").bind("best");
    let row = row.fetch_one(storage.database.pool()).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "abc");
    assert_eq!(row.get::<i64, _>(1), 1);
    let now = storage.database.now_ms().await.unwrap();
    assert!(now > 1_700_000_000_000, "{now}");
}

#[tokio::test]
async fn files_are_created_once_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let objects = Storage::open(&embedded(folder.path()))
        .await
        .unwrap()
        .objects;
    assert!(objects.create("a/x/1", b"one".to_vec()).await.unwrap());
    assert!(!objects.create("a/x/1", b"two".to_vec()).await.unwrap());
    objects.put("a/y", b"three".to_vec()).await.unwrap();
    assert_eq!(objects.get("a/x/1").await.unwrap().unwrap(), b"one");
    assert_eq!(objects.list("a").await.unwrap(), ["x/1", "y"]);
    objects.delete_folder("a").await.unwrap();
    assert_eq!(objects.get("a/y").await.unwrap(), None);
    assert!(objects.list("a").await.unwrap().is_empty());
    objects.delete("a/y").await.unwrap();
    // nothing is left of the folder either
    let left: Vec<_> = std::fs::read_dir(folder.path().join("a b%?/objects"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
