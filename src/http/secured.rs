//! What the OpenAPI says of keys, from the table that lets requests in.
use utoipa::openapi::{
    Components, OpenApi,
    path::Operation,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{
    needs::{Needs, needs},
    problem::{Code, add_codes},
};

const SCHEME: &str = "key";
const DESCRIPTION: &str = "A key, as npedit key create prints it. Where the server has none, none is needed; with auth.allow_anonymous a request without one is taken too. Names of scopes stand beside each operation.";

/// Adds to every operation which scope it needs, and how it is refused without.
pub fn secured(mut document: OpenApi) -> OpenApi {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("npe_...")
        .description(Some(DESCRIPTION))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            secure(operation, needs(path));
        }
    }
    document
}

fn secure(operation: &mut Operation, needs: Needs) {
    if needs == Needs::Nothing {
        operation.security = Some(Vec::new());
        return;
    }
    let scopes = needs.scope().map(|scope| scope.name());
    // the second: a server without keys
    operation.security = Some(vec![
        SecurityRequirement::new(SCHEME, scopes),
        SecurityRequirement::default(),
    ]);
    let mut codes = vec![
        Code::MissingApiKey,
        Code::InvalidApiKey,
        Code::RateLimitExceeded,
        Code::StorageUnavailable,
    ];
    codes.extend(scopes.map(|_| Code::InsufficientScope));
    codes.push(Code::ConcurrencyLimitExceeded);
    add_codes(&mut operation.responses.responses, &codes);
}
