//! `GET /docs`: Swagger UI over `/openapi.json`, from files that the binary carries.
use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware,
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{HttpState, playground::guarded, route_not_found};

/// As the playground's, with the inline styles that Swagger UI needs; its validator elsewhere is off, and could not be reached.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Routes beside the API: they are no part of its description.
pub fn routes() -> Router<HttpState> {
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .use_base_layout()
        .deep_linking(true);
    let pages: Router<HttpState> = SwaggerUi::new("/docs").config(config).into();
    pages.layer(middleware::from_fn(guard))
}

async fn guard(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return route_not_found(uri).await.into_response();
    }
    response.headers_mut().extend(guarded(POLICY));
    response
}
