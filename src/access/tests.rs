use super::*;
use crate::{
    config::{Auth, ConfiguredKey},
    storage::{DatabaseChoice, ObjectsChoice, Storage, StorageSettings},
};

struct Place {
    keys: Keys,
    storage: Storage,
    _folder: tempfile::TempDir,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let settings = StorageSettings {
        data_dir: folder.path().to_owned(),
        database: DatabaseChoice::Embedded,
        objects: ObjectsChoice::Embedded,
    };
    let storage = Storage::open(&settings).await.unwrap();
    // as the command line opens it, beside the service
    let keys = Keys::new(Storage::rows(&settings).await.unwrap());
    Place {
        keys,
        storage,
        _folder: folder,
    }
}

fn auth() -> Auth {
    Auth {
        allow_anonymous: false,
        keys: Vec::new(),
        requests_per_minute: 0,
        max_concurrent: 0,
    }
}

impl Place {
    fn access(&self, auth: &Auth) -> Access {
        Access::new(auth, self.storage.database.clone())
    }

    async fn create(&self, name: &str, scopes: &[Scope]) -> NewKey {
        let scopes = Scopes::new(scopes.to_vec());
        let secret = Secret::draw().unwrap();
        self.keys.create(secret, name, scopes).await.unwrap()
    }
}

async fn name(access: &Access, presented: Presented) -> Result<String, AccessError> {
    let caller = access.caller(&presented).await?;
    Ok(caller.viewer.name().to_owned())
}

fn sent(key: &NewKey) -> Presented {
    Presented::Key(Secret::sent(key.secret.reveal()))
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_and_the_doors_stay_shut() {
    let place = place().await;
    let access = place.access(&auth());
    for presented in [
        Presented::Nothing,
        Presented::Other,
        Presented::Key(Secret::sent("any")),
    ] {
        assert_eq!(name(&access, presented).await.unwrap(), "anonymous");
    }
    let key = place.create("ci", &[Scope::Edit]).await;
    assert_eq!(name(&access, sent(&key)).await.unwrap(), "ci");
    let missing = name(&access, Presented::Nothing).await;
    assert!(matches!(missing, Err(AccessError::Missing)));
    for wrong in [
        Presented::Other,
        Presented::Key(Secret::sent("")),
        Presented::Key(Secret::sent(&key.row.prefix)),
        Presented::Key(Secret::sent(&key.secret.hash())),
    ] {
        let refused = name(&access, wrong).await;
        assert!(matches!(refused, Err(AccessError::Invalid)), "{refused:?}");
    }
    assert!(place.keys.revoke(&key.row.id).await.unwrap());
    assert!(!place.keys.revoke("key_none").await.unwrap());
    let revoked = name(&access, sent(&key)).await;
    assert!(matches!(revoked, Err(AccessError::Invalid)));
    let fresh = place.access(&auth());
    let missing = name(&fresh, Presented::Nothing).await;
    assert!(matches!(missing, Err(AccessError::Missing)));
    assert!(place.keys.list().await.unwrap()[0].revoked > 0);
}

#[tokio::test]
async fn what_is_kept_of_a_key_does_not_give_it_back() {
    let place = place().await;
    let key = place.create("ci", &[Scope::Edit]).await;
    let secret = key.secret.reveal();
    assert_eq!(secret.len(), 47);
    assert!(secret.starts_with(&key.row.prefix) && key.row.prefix.len() == 10);
    assert!(!format!("{key:?}").contains(secret));
    let other = Secret::draw().unwrap();
    assert_ne!(other.reveal(), secret);
    let columns = "SELECT id || name || prefix || hash || scopes FROM api_keys";
    let row = sqlx::query(columns);
    let row = row.fetch_one(place.storage.database.pool()).await.unwrap();
    let kept: String = sqlx::Row::get(&row, 0);
    assert!(!kept.contains(&secret[10..]), "{kept}");
}

#[tokio::test]
async fn keys_of_the_settings_need_no_database_and_scopes_bound_them() {
    let place = place().await;
    let secret = Secret::sent("npe_mine");
    let configured = ConfiguredKey {
        name: "ops".into(),
        scopes: vec![Scope::Score],
        sha256: secret.hash(),
    };
    let access = place.access(&Auth {
        keys: vec![configured],
        ..auth()
    });
    place.storage.database.pool().close().await;
    let caller = access.caller(&Presented::Key(secret)).await.unwrap();
    assert!(caller.needs(Scope::Score).is_ok());
    for scope in [Scope::Edit, Scope::Finetune, Scope::Admin] {
        let refused = caller.needs(scope).unwrap_err();
        assert!(refused.to_string().contains(scope.name()), "{refused}");
    }
    // an unknown key cannot be told from one that is kept: refused, not let in
    let unknown = access.caller(&Presented::Key(Secret::sent("npe_"))).await;
    assert!(matches!(unknown, Err(AccessError::Storage(_))));
}

#[tokio::test]
async fn while_the_database_is_away_its_last_answers_hold() {
    let place = place().await;
    let (open, shut) = (place.access(&auth()), place.access(&auth()));
    assert_eq!(name(&open, Presented::Nothing).await.unwrap(), "anonymous");
    let key = place.create("ci", &[Scope::Edit]).await;
    assert_eq!(name(&shut, sent(&key)).await.unwrap(), "ci");
    let other = place.create("other", &[Scope::Edit]).await;
    place.storage.database.pool().close().await;
    assert_eq!(name(&open, Presented::Nothing).await.unwrap(), "anonymous");
    assert_eq!(name(&shut, sent(&key)).await.unwrap(), "ci");
    for unknown in [sent(&other), Presented::Nothing] {
        let away = name(&shut, unknown).await;
        assert!(matches!(away, Err(AccessError::Storage(_))), "{away:?}");
    }
}

#[tokio::test]
async fn anonymous_requests_are_let_in_beside_keys_where_the_settings_say_so() {
    let place = place().await;
    let key = place.create("root", &[Scope::Admin]).await;
    let access = place.access(&Auth {
        allow_anonymous: true,
        ..auth()
    });
    let caller = access.caller(&Presented::Nothing).await.unwrap();
    assert_eq!(caller.viewer, Viewer::owner("anonymous"));
    assert!(caller.needs(Scope::Admin).is_err());
    let wrong = access.caller(&Presented::Other).await;
    assert!(matches!(wrong, Err(AccessError::Invalid)));
    let admin = access.caller(&sent(&key)).await.unwrap();
    assert!(admin.viewer.is_admin() && admin.needs(Scope::Edit).is_ok());
}
