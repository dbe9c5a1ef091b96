//! What one key has made is not there for another: on every route, by a table that no new route can be missing from.
use std::collections::BTreeSet;

use npedit::access::{Secret, Viewer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    finetune::set,
    keys::{operations, request},
    owned::{Place, id},
    support::{body, problem},
};

/// What another key meets on a route.
enum Other {
    /// The object is not there: 404 with that code.
    Hidden(&'static str),
    /// The list is there, without the object.
    Left,
    /// The route names an object in the body: tried apart.
    Names,
    /// Every owner has a place of its own there: tried apart.
    Apart,
    /// Nothing there belongs to anybody.
    Common,
}

const ROUTES: &[(&str, &str, Other)] = &[
    ("GET", "/health/live", Other::Common),
    ("GET", "/health/ready", Other::Common),
    ("GET", "/metrics", Other::Common),
    ("GET", "/openapi.json", Other::Common),
    ("GET", "/v1/models", Other::Common),
    ("GET", "/v1/recipes", Other::Common),
    ("POST", "/v1/score", Other::Common),
    ("POST", "/v1/edit", Other::Names),
    ("POST", "/v1/images/edits", Other::Names),
    (
        "GET",
        "/v1/edit/results/{id}",
        Other::Hidden("result_not_found"),
    ),
    (
        "DELETE",
        "/v1/edit/results/{id}",
        Other::Hidden("result_not_found"),
    ),
    ("GET", "/v1/datasets", Other::Left),
    ("POST", "/v1/datasets", Other::Apart),
    (
        "GET",
        "/v1/datasets/{id}",
        Other::Hidden("dataset_not_found"),
    ),
    (
        "DELETE",
        "/v1/datasets/{id}",
        Other::Hidden("dataset_not_found"),
    ),
    ("GET", "/v1/captured", Other::Left),
    ("DELETE", "/v1/captured", Other::Apart),
    (
        "DELETE",
        "/v1/captured/{id}",
        Other::Hidden("capture_not_found"),
    ),
    ("GET", "/v1/finetune", Other::Left),
    ("POST", "/v1/finetune", Other::Names),
    ("GET", "/v1/finetune/{id}", Other::Hidden("job_not_found")),
    (
        "DELETE",
        "/v1/finetune/{id}",
        Other::Hidden("job_not_found"),
    ),
    (
        "POST",
        "/v1/finetune/{id}/{action}",
        Other::Hidden("job_not_found"),
    ),
    (
        "GET",
        "/v1/finetune/{id}/events",
        Other::Hidden("job_not_found"),
    ),
    (
        "GET",
        "/v1/finetune/{id}/metrics",
        Other::Hidden("job_not_found"),
    ),
    (
        "GET",
        "/v1/finetune/{id}/samples",
        Other::Hidden("job_not_found"),
    ),
    (
        "GET",
        "/v1/finetune/{id}/samples/{name}",
        Other::Hidden("job_not_found"),
    ),
    (
        "GET",
        "/v1/finetune/{id}/report",
        Other::Hidden("job_not_found"),
    ),
    ("GET", "/v1/adapters", Other::Left),
    (
        "GET",
        "/v1/adapters/{id}",
        Other::Hidden("adapter_not_found"),
    ),
    (
        "DELETE",
        "/v1/adapters/{id}",
        Other::Hidden("adapter_not_found"),
    ),
    (
        "GET",
        "/v1/adapters/{id}/weights",
        Other::Hidden("adapter_not_found"),
    ),
    ("GET", "/v1/adapters/aliases/{name}", Other::Apart),
    ("PUT", "/v1/adapters/aliases/{name}", Other::Names),
    (
        "DELETE",
        "/v1/adapters/aliases/{name}",
        Other::Hidden("adapter_not_found"),
    ),
];

#[test]
fn the_table_has_every_route() {
    let table: BTreeSet<_> = ROUTES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    let served = operations().into_iter();
    let served: BTreeSet<_> = served
        .map(|(method, path, _)| (method.to_string(), path))
        .collect();
    assert_eq!(table, served, "say in ROUTES what another key meets there");
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let place = Place::new().await;
    place.is_whole().await;
    for (method, path, other) in ROUTES {
        let method: Method = method.parse().unwrap();
        match other {
            Other::Hidden(code) => {
                for name in place.names(path) {
                    let place_of = if path.contains("aliases") {
                        "{name}"
                    } else {
                        "{id}"
                    };
                    let at = |name: &str| {
                        let path = path.replacen(place_of, name, 1);
                        path.replace("{action}", "cancel").replace("{name}", "x")
                    };
                    let hidden = place
                        .send(&place.bob, method.clone(), &at(name), None)
                        .await;
                    let hidden = problem(hidden, 404, code).await;
                    let none = place
                        .send(&place.bob, method.clone(), &at("none"), None)
                        .await;
                    let none = problem(none, 404, code).await;
                    // word for word as where there is none
                    let detail = |told: &Value| told["detail"].as_str().unwrap().to_owned();
                    assert_eq!(detail(&hidden).replace(name, "none"), detail(&none));
                }
            }
            Other::Left => {
                let name = place.names(path)[0];
                for (key, there) in [
                    (&place.alice, true),
                    (&place.bob, false),
                    (&place.root, true),
                ] {
                    let text = place.get(key, path).await.text().await.unwrap();
                    assert_eq!(text.contains(name), there, "{path} {text}");
                }
            }
            Other::Names | Other::Apart | Other::Common => {}
        }
    }
    place.is_whole().await;
}

#[tokio::test]
async fn what_is_anothers_cannot_be_named_in_a_body() {
    let place = Place::new().await;
    for name in [&*place.adapter, "best"] {
        let edit = body(json!({"adapter": name}));
        let refused = place.post(&place.bob, "/v1/edit", &edit).await;
        problem(refused, 404, "adapter_not_found").await;
        let image =
            json!({"image_url": format!("data:;base64,{}", edit["image"].as_str().unwrap())});
        let images = json!({"images": [image], "prompt": "x", "adapter": name});
        let refused = place.post(&place.bob, "/v1/images/edits", &images).await;
        problem(refused, 404, "adapter_not_found").await;
        let alias = json!({"adapter": name, "version": 0});
        let put = place.send(
            &place.bob,
            Method::PUT,
            "/v1/adapters/aliases/stolen",
            Some(&alias),
        );
        problem(put.await, 404, "adapter_not_found").await;
        // it is found for its owner and for an admin, and only then does it not fit the stub
        for key in [&place.alice, &place.root] {
            let found = place.post(key, "/v1/edit", &edit).await;
            problem(found, 422, "adapter_unusable").await;
        }
    }
    for name in [&*place.dataset, "mine"] {
        let job = json!({"dataset": name, "recipe": "mine"});
        let refused = place.post(&place.bob, "/v1/finetune", &job).await;
        problem(refused, 404, "dataset_not_found").await;
        let mut plan = job.clone();
        plan["validate_only"] = true.into();
        assert_eq!(
            place
                .post(&place.root, "/v1/finetune", &plan)
                .await
                .status(),
            200
        );
    }
    place.is_whole().await;
}

#[tokio::test]
async fn names_and_idempotency_keys_of_one_owner_are_free_for_another() {
    let place = Place::new().await;
    let alias: Value = place
        .get(&place.bob, "/v1/adapters/aliases/best")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(alias["version"], 0);
    let (alice, bob) = (&place.alice, &place.bob);
    let made = id(place.post(bob, "/v1/datasets", &set()).await, 201).await;
    assert_ne!(made, place.dataset);
    let taken = place.post(alice, "/v1/datasets", &set()).await;
    problem(taken, 409, "dataset_name_taken").await;
    let demo = json!({"name": "demo", "items": set()["items"]});
    problem(
        place.post(bob, "/v1/datasets", &demo).await,
        409,
        "dataset_name_taken",
    )
    .await;

    let submit = async |key: &Secret| {
        let request = request(&place.server, &Method::POST, "/v1/finetune", Some(key));
        let request = request.header("idempotency-key", "once");
        let request = request.json(&json!({"dataset": "mine", "recipe": "mine"}));
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, id(response, status).await)
    };
    let (first, second) = (submit(alice).await, submit(bob).await);
    assert_eq!((first.0, second.0), (201, 201));
    assert_ne!(first.1, second.1);
    assert_eq!(submit(bob).await, (200, second.1));

    // the built-in set is everyone's, and nobody's to take away but an admin's
    for key in [alice, bob] {
        assert_eq!(place.get(key, "/v1/datasets/demo").await.status(), 200);
        let taken = place.send(key, Method::DELETE, "/v1/datasets/demo", None);
        problem(taken.await, 403, "insufficient_scope").await;
    }
    let taken = place.send(&place.root, Method::DELETE, "/v1/datasets/demo", None);
    assert_eq!(taken.await.status(), 200);
    assert_eq!(place.get(bob, "/v1/datasets/demo").await.status(), 200);
}

#[tokio::test]
async fn an_adapter_that_two_have_made_stays_until_both_are_done_with_it() {
    let place = Place::new().await;
    let path = format!("/v1/adapters/{}", place.adapter);
    problem(place.get(&place.bob, &path).await, 404, "adapter_not_found").await;
    let same = place.recipes.path().join("kept");
    let registry = &place.server.jobs.registry;
    let (owner, lineage) = (Viewer::owner("bob"), json!({"job": "bobs"}));
    let bobs = registry.import(&owner, &same, &lineage);
    bobs.await.unwrap();
    let seen: Value = place.get(&place.bob, &path).await.json().await.unwrap();
    assert_eq!(
        (&seen["lineage"]["job"], &seen["aliases"]),
        (&json!("bobs"), &json!([]))
    );
    let delete = async |key, path: &str| place.send(key, Method::DELETE, path, None).await.status();
    assert_eq!(delete(&place.alice, &path).await, 409);
    assert_eq!(delete(&place.alice, "/v1/adapters/aliases/best").await, 200);
    assert_eq!(delete(&place.alice, &path).await, 200);
    problem(
        place.get(&place.alice, &path).await,
        404,
        "adapter_not_found",
    )
    .await;
    assert_eq!(
        place
            .get(&place.bob, &format!("{path}/weights"))
            .await
            .status(),
        200
    );
    assert_eq!(delete(&place.bob, &path).await, 200);
    problem(
        place.get(&place.root, &path).await,
        404,
        "adapter_not_found",
    )
    .await;
}
