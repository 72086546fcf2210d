//! What every request passes before an endpoint sees it: rate, load, token, time.

use std::marker::PhantomData;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::TokenScope;
use store::tokens;

use super::limits::network;
use super::problem::{Kind, Problem};
use super::{Api, DEADLINE};
use crate::server::Peer;
use crate::tokens::ApiToken;

/// Who asks: set by [`guard`].
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token that opened.
    pub(crate) token: ApiToken,
    scopes: Vec<TokenScope>,
}

/// A permission that an endpoint asks for by taking it as an argument.
pub(crate) trait Permission: Send {
    /// Its scope.
    const SCOPE: TokenScope;
}

/// [`TokenScope::JobsRead`].
pub(crate) struct JobsRead;
/// [`TokenScope::JobsWrite`].
pub(crate) struct JobsWrite;
/// [`TokenScope::Admin`].
pub(crate) struct Admin;

impl Permission for JobsRead {
    const SCOPE: TokenScope = TokenScope::JobsRead;
}
impl Permission for JobsWrite {
    const SCOPE: TokenScope = TokenScope::JobsWrite;
}
impl Permission for Admin {
    const SCOPE: TokenScope = TokenScope::Admin;
}

/// Proof that the caller has a permission.
pub(crate) struct Allowed<P> {
    /// Who asks.
    pub(crate) caller: Caller,
    permission: PhantomData<P>,
}

impl<S: Send + Sync, P: Permission> FromRequestParts<S> for Allowed<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned().ok_or_else(|| Problem::new(Kind::Unauthorized, MISSING))?;
        match caller.scopes.iter().any(|own| own.includes(P::SCOPE)) {
            true => Ok(Self { caller, permission: PhantomData }),
            false => Err(Problem::missing_scope(P::SCOPE.into())),
        }
    }
}

const MISSING: &str = "send `Authorization: Bearer TOKEN`; `codeteam token create` makes a token";

/// Lets a request through to its endpoint, or answers in its place.
pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, pass(&api, request, next)).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::new(Kind::Unavailable, format!("not done within {} s", DEADLINE.as_secs())).retry_after(5).into_response(),
    }
}

async fn pass(api: &Api, mut request: Request, next: Next) -> Result<Response, Problem> {
    if let Some(address) = address(&request, api.options.forwarded_for) {
        api.addresses.take(network(address)).map_err(|wait| too_many("this address", wait))?;
    }
    let _place = api.places.try_acquire().map_err(|_| Problem::new(Kind::Unavailable, "too many requests at once").retry_after(1))?;
    if !request.uri().path().ends_with(super::OPENAPI_PATH) {
        let caller = authenticate(api, request.headers()).await?;
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Who a request comes from: behind a balancer the last address of `X-Forwarded-For`, which the balancer wrote.
fn address(request: &Request, forwarded_for: bool) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    if !forwarded_for {
        return peer;
    }
    let last = request.headers().get_all("x-forwarded-for").iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.or(peer)
}

async fn authenticate(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let refused = |detail: &str| Problem::new(Kind::Unauthorized, detail);
    let given = headers.get(header::AUTHORIZATION).ok_or_else(|| refused(MISSING))?;
    let token = given.to_str().ok().and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.and_then(|(_, token)| ApiToken::parse(token.trim())).ok_or_else(|| refused(MISSING))?;
    // The id is public: until the secret is proved, nothing may count against its owner.
    let caller = check(api, token).await?;
    api.holders.take(caller.token.id.clone()).map_err(|wait| too_many("this token", wait))?;
    Ok(caller)
}

/// Whether `token` opens now.
pub(crate) async fn check(api: &Api, token: ApiToken) -> Result<Caller, Problem> {
    let known = tokens::find(&api.db, &token.id).await?;
    // The same words whether the id is unknown or the secret wrong.
    let Some(credential) = known.filter(|credential| token.matches(&credential.hash)) else {
        return Err(Problem::new(Kind::Unauthorized, "there is no such token"));
    };
    if credential.ended {
        return Err(Problem::new(Kind::Unauthorized, "the token was revoked or its time is over"));
    }
    if credential.touch
        && let Err(error) = tokens::touch(&api.db, &token.id).await
    {
        tracing::warn!(token.id, "cannot note the use of token {}: {error}", token.id);
    }
    Ok(Caller { token, scopes: credential.scopes })
}

fn too_many(who: &str, wait: std::time::Duration) -> Problem {
    let seconds = wait.as_secs_f64().ceil() as u64;
    Problem::new(Kind::TooManyRequests, format!("{who} asks too often: wait {} s", seconds.max(1))).retry_after(seconds)
}
