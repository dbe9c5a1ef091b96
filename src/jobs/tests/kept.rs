//! Sets, adapters and captured edits.
use std::time::Duration;

use serde_json::json;

use super::{super::*, LEASE, ME, NONE, Place, plan};
use crate::storage::testing::{Kept, on_every_store};

on_every_store!(
    sets_are_kept_laid_out_and_deleted_only_when_unused,
    aliases_move_only_from_where_they_were_seen,
    captured_edits_are_limited_and_make_rows,
    files_that_no_row_names_are_swept,
    an_adapter_that_a_job_goes_on_from_stays,
);

async fn sets_are_kept_laid_out_and_deleted_only_when_unused(kept: Kept) {
    let place = Place::from(kept);
    let sets = &place.jobs.datasets;
    let (me, admin) = (Viewer::owner(ME), Viewer::admin("root"));
    let demo = sets.dataset(&me, "demo").await.unwrap();
    assert_eq!(sets.dataset(&admin, &demo.id).await.unwrap(), demo);
    let folder = tempfile::tempdir().unwrap();
    let rows = sets.lay_out(&demo.id, folder.path()).await.unwrap();
    let limits = &sets.limits().images;
    let read = crate::training::instruction_set::InstructionSet::read(
        &rows,
        limits,
        crate::training::instruction_set::BadPictures::Refuse,
    );
    assert_eq!(read.unwrap().rows.len() as u64, demo.report.rows);
    let mut plan = plan();
    plan.dataset = demo.id.clone();
    let queue = &place.jobs.queue;
    let Submitted::New(job) = queue.submit(&plan, 1, None).await.unwrap() else {
        panic!()
    };
    let used = sets.delete(&admin, "demo").await;
    assert!(matches!(used, Err(JobError::DatasetInUse { .. })));
    queue.act(&job.id, Action::Cancel).await.unwrap();
    let everyones = sets.delete(&me, "demo").await;
    assert!(matches!(everyones, Err(JobError::BuiltIn { .. })));
    sets.delete(&admin, "demo").await.unwrap();
    assert!(
        place
            .jobs
            .storage
            .objects
            .list("datasets")
            .await
            .unwrap()
            .is_empty()
    );
    let unknown = sets.dataset(&me, "no").await;
    assert!(matches!(unknown, Err(JobError::UnknownDataset { .. })));
}

async fn aliases_move_only_from_where_they_were_seen(kept: Kept) {
    let place = Place::from(kept);
    let registry = &place.jobs.registry;
    let me = Viewer::owner(ME);
    let database = &place.jobs.storage.database;
    let mut tx = database.begin().await.unwrap();
    for id in ["a", "b"] {
        for _ in 0..2 {
            let (size, lineage) = ((id, 1), json!({}));
            registry.enter(&mut tx, ME, size, &lineage).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    let new = registry.alias(&me, "best").await.unwrap();
    let first = registry.move_alias(&me, &new, "a").await.unwrap();
    assert_eq!(
        (first.version, registry.entry(&me, "best").await.unwrap().id),
        (1, "a".into())
    );
    let stale = registry.move_alias(&me, &new, "b").await.unwrap_err();
    assert!(stale.to_string().contains("version 1, not 0"), "{stale}");
    registry.move_alias(&me, &first, "b").await.unwrap();
    let used = registry.delete(&me, "best").await.unwrap_err();
    assert!(used.to_string().contains("in use"), "{used}");
    registry.delete(&me, "a").await.unwrap();
    assert!(registry.entry(&me, "a").await.is_err());
    for name in ["", "A", "../x", "-a", &"a".repeat(65), &"a".repeat(64)] {
        assert!(registry.alias(&me, name).await.is_err(), "{name}");
    }
}

async fn captured_edits_are_limited_and_make_rows(kept: Kept) {
    let settings = CaptureSettings {
        low_scores: true,
        below: 0.5,
        max_bytes: 1 << 20,
        max_age: LEASE,
    };
    let captures = Captures::new(kept.storage.clone(), settings);
    let (me, other) = (Viewer::owner(ME), Viewer::owner("other"));
    let picture = crate::pipelines::image::RgbImage::new(8, 8);
    let edit = |instruction: &str| CapturedEdit {
        instruction: instruction.into(),
        edit_type: crate::pipelines::edit_type::EditType::Color,
        object: "cat".into(),
        score: 0.2,
    };
    for instruction in ["first", "second"] {
        captures
            .keep(&me, picture.clone(), &edit(instruction))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = captures.list(&me).await.unwrap();
    assert_eq!(all[1].edit, edit("first"));
    let items = captures.items_since(&me, all[0].created).await.unwrap();
    assert_eq!((items.len(), &*items[0].row.instruction), (1, "second"));

    assert!(captures.list(&other).await.unwrap().is_empty());
    assert_eq!(captures.forget_all(&other).await.unwrap(), 0);
    let others = captures.forget(&other, &all[0].id).await;
    assert!(matches!(others, Err(JobError::UnknownCapture { .. })));

    // room for one: the oldest goes
    let less = CaptureSettings {
        max_bytes: all[0].bytes as u64,
        ..settings
    };
    let left = Captures::new(kept.storage.clone(), less)
        .list(&me)
        .await
        .unwrap();
    assert_eq!(left, all[..1]);
    let young = CaptureSettings {
        max_age: NONE,
        ..settings
    };
    tokio::time::sleep(Duration::from_millis(5)).await;
    let left = Captures::new(kept.storage.clone(), young)
        .list(&me)
        .await
        .unwrap();
    assert_eq!(left, []);
    let files = kept.storage.objects.list("captured").await.unwrap();
    assert!(files.is_empty(), "{files:?}");
    let unknown = captures.forget(&me, &all[0].id).await;
    assert!(matches!(unknown, Err(JobError::UnknownCapture { .. })));
    captures.keep(&me, picture, &edit("third")).await.unwrap();
    assert_eq!(captures.forget_all(&me).await.unwrap(), 1);
    assert!(captures.list(&me).await.unwrap().is_empty());
}

async fn files_that_no_row_names_are_swept(kept: Kept) {
    let place = Place::from(kept);
    let (registry, objects) = (&place.jobs.registry, &place.jobs.storage.objects);
    for id in ["a", "b"] {
        objects
            .put(&format!("adapters/{id}/x"), vec![1])
            .await
            .unwrap();
    }
    let mut tx = place.jobs.storage.database.begin().await.unwrap();
    let lineage = json!({});
    registry
        .enter(&mut tx, ME, ("a", 1), &lineage)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for id in ["a", "b"] {
        registry.sweep(id).await.unwrap();
    }
    assert_eq!(objects.list("adapters").await.unwrap(), ["a/x"]);
    assert!(registry.entry(&Viewer::owner(ME), "b").await.is_err());
    // others may be at work on what is young
    objects.put("jobs/lost/x", vec![1]).await.unwrap();
    place.jobs.recover().await.unwrap();
    let swept = objects.list("jobs").await.unwrap().is_empty();
    assert_eq!(swept, place.jobs.storage.is_alone());
}

async fn an_adapter_that_a_job_goes_on_from_stays(kept: Kept) {
    let place = Place::from(kept);
    let (jobs, me) = (&place.jobs, Viewer::owner(ME));
    let mut tx = jobs.storage.database.begin().await.unwrap();
    let lineage = json!({});
    let entered = jobs.registry.enter(&mut tx, ME, ("a", 1), &lineage);
    entered.await.unwrap();
    tx.commit().await.unwrap();
    let mut plan = plan();
    plan.base_adapter = Some("a".into());
    let Submitted::New(job) = jobs.queue.submit(&plan, 1, None).await.unwrap() else {
        panic!()
    };
    let used = jobs.delete_adapter(&me, "a").await.unwrap_err();
    assert!(used.to_string().contains(&job.id), "{used}");
    jobs.queue.act(&job.id, Action::Cancel).await.unwrap();
    jobs.delete_adapter(&me, "a").await.unwrap();
    assert!(jobs.registry.entry(&me, "a").await.is_err());
}
