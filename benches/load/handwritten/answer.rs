//! The answers of an endpoint: data as GraphQL wraps it, or status 500.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The object around the data.
#[derive(Serialize)]
pub struct Data<T> {
    data: T,
}

/// Anything that fails is 500: whoever measures must not see it as an answer.
pub struct Failure(String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

impl<E: ToString> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// An answer of a handler.
pub type Answer<T> = Result<Json<Data<T>>, Failure>;

/// The answer with this data.
pub fn json<T: Serialize>(data: T) -> Json<Data<T>> {
    Json(Data { data })
}
