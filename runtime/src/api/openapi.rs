//! The description of the API, made from the endpoints.

use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, Response, ResponseBuilder};

use super::model::StreamedEvent;
use super::problem::{Kind, ProblemBody};
use super::{BASE, OPENAPI_PATH};

#[derive(OpenApi)]
#[openapi(
    info(title = "AI Code Team", description = "A self-hosted team of AI coding workers: jobs, what became of them, and what they cost."),
    tags(
        (name = "jobs", description = "Jobs and their records"),
        (name = "steering", description = "What people do to jobs"),
        (name = "dlq", description = "Jobs that were given up"),
        (name = "queue", description = "Lanes, gates and workers"),
        (name = "schedules", description = "Jobs that come again by themselves"),
        (name = "money", description = "Budgets, costs and the ledger"),
        (name = "events", description = "What happens, live"),
    ),
    components(schemas(ProblemBody, StreamedEvent)),
)]
struct Head;

/// What stands before the endpoints.
pub(super) fn head() -> Document {
    let mut document = Head::openapi();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token made with `codeteam token create`. Scopes: jobs:read, jobs:write, admin (which includes the others)."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    components.responses.extend(Kind::ALL.map(|kind| (kind.describe().1.to_owned(), refusal(kind).into())));
    document
}

/// Adds what holds for every endpoint, and prints.
pub(super) fn finished(mut document: Document) -> String {
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        operations(&mut item).for_each(refusals);
        document.paths.paths.insert(format!("{BASE}{path}"), item);
    }
    debug_assert!(!document.paths.paths.contains_key(OPENAPI_PATH));
    document.to_pretty_json().expect("a description has string keys and no failing serializer")
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Describes how an endpoint can refuse: in the same ways as every other.
fn refusals(operation: &mut Operation) {
    for kind in Kind::ALL {
        let (status, name, _) = kind.describe();
        let refusal = || Ref::from_response_name(name).into();
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(refusal);
    }
}

fn refusal(kind: Kind) -> Response {
    let (_, _, title) = kind.describe();
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(title).content("application/problem+json", problem);
    match kind {
        Kind::TooManyRequests | Kind::Unavailable => {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).build();
            let wait = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait")).build();
            response.header("retry-after", wait).build()
        }
        _ => response.build(),
    }
}
