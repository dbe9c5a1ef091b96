use sqlx::Row;

use super::{
    room::{LOCK as ROOM_LOCK, Room},
    testing::{Kept, embedded, on_every_store},
    *,
};

on_every_store!(
    files_are_created_once_and_listed,
    rows_are_there_after_opening_again,
);

#[tokio::test]
async fn one_process_at_a_time_opens_a_directory_and_finds_what_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = embedded(&folder.path().join("a b%?"));
    let storage = Storage::open(&settings).await.unwrap();
    let second = Storage::open(&settings).await.unwrap_err();
    assert!(matches!(second, StorageError::InUse { .. }), "{second}");
    drop(storage);
    Storage::open(&settings).await.unwrap();
}

async fn rows_are_there_after_opening_again(kept: Kept) {
    let insert = "INSERT INTO aliases (owner, name, adapter, version) VALUES ('me', $1, $2, $3)";
    let insert = sqlx::query(insert).bind("best").bind("abc").bind(1i64);
    let pool = kept.storage.database.pool();
    insert.execute(pool).await.unwrap();
    let kept = kept.opened_again().await;
    let row = sqlx::query("SELECT adapter, version FROM aliases WHERE name = $1").bind("best");
    let row = row.fetch_one(kept.storage.database.pool()).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "abc");
    assert_eq!(row.get::<i64, _>(1), 1);
    let now = kept.storage.database.now_ms().await.unwrap();
    assert!(now > 1_700_000_000_000, "{now}");
}

#[tokio::test]
async fn of_many_who_create_a_file_one_does() {
    let kept = Kept::embedded().await;
    let objects = &kept.storage.objects;
    let tries = (0..8u8).map(|who| objects.create("a/once", vec![who]));
    let made = futures_util::future::join_all(tries).await;
    let winners: Vec<u8> = (0..8u8)
        .filter(|who| *made[usize::from(*who)].as_ref().unwrap())
        .collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(objects.get("a/once").await.unwrap().unwrap(), winners);
}

#[tokio::test]
async fn what_a_killed_process_had_in_work_is_swept_and_a_living_one_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("work/dead");
    fs::create_dir_all(dead.join("attempt")).unwrap();
    fs::write(dead.join(ROOM_LOCK), b"").unwrap();
    let one = Room::open(folder.path()).unwrap();
    assert!(!dead.exists());
    fs::create_dir_all(one.path.join("attempt")).unwrap();
    let two = Room::open(folder.path()).unwrap();
    assert!(one.path.join("attempt").exists() && two.path != one.path);
}

async fn files_are_created_once_and_listed(kept: Kept) {
    let objects = &kept.storage.objects;
    assert!(objects.create("a/x/1", b"one".to_vec()).await.unwrap());
    assert!(!objects.create("a/x/1", b"two".to_vec()).await.unwrap());
    objects.put("a/y", b"three".to_vec()).await.unwrap();
    assert_eq!(objects.get("a/x/1").await.unwrap().unwrap(), b"one");
    assert_eq!(objects.list("a").await.unwrap(), ["x/1", "y"]);
    objects.delete_folder("a").await.unwrap();
    assert_eq!(objects.get("a/y").await.unwrap(), None);
    assert!(objects.list("a").await.unwrap().is_empty());
    objects.delete("a/y").await.unwrap();
    // nothing is left of a folder either
    let folder = kept.settings.data_dir.join("objects");
    let left: Vec<_> = fs::read_dir(folder).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
