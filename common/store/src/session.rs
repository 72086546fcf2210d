//! How statements reach the server: on a pool of sessions, or through a pooler in transaction mode.
//!
//! A pooler such as PgBouncer 1.18 in transaction mode gives every *transaction* some session of the server.
//! So a statement prepared under a name is not there the next time (or another client's is), and even an
//! unnamed one is gone between its parsing and its execution, unless a transaction holds the session. There,
//! every statement is unnamed and runs in a transaction; nothing else of a session is used: no `set`, no
//! session's advisory lock, no `listen`. It costs two more round trips a statement, and a plan each time.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Database, Describe, Either, Error, Execute, Executor, PgConnection, Postgres, SqlStr, Transaction};

type BoxDynError = Box<dyn std::error::Error + 'static + Send + Sync>;
type Step = Either<PgQueryResult, PgRow>;

/// A pool of sessions. `&Pool` runs one statement; several that belong together take [`Pool::begin`].
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) sessions: PgPool,
    /// Whether sessions are ours from one statement to the next.
    pub(crate) sticky: bool,
}

/// One session, held for several statements.
#[derive(Debug)]
pub(crate) struct Session {
    transaction: Transaction<'static, Postgres>,
    sticky: bool,
}

/// A transaction; dropped, it is rolled back. `&mut **tx` runs a statement in it from a function that was
/// lent it, `&mut *tx` from the one that began it.
#[derive(Debug)]
pub(crate) struct Tx(Session);

impl Pool {
    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<Tx, Error> {
        Ok(Tx(Session { transaction: self.sessions.begin().await?, sticky: self.sticky }))
    }
}

impl Tx {
    /// Makes its writes last.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.0.transaction.commit().await
    }
}

impl Session {
    /// The driver's own session.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }
}

impl std::ops::Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

impl std::ops::DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

/// A statement that leaves no prepared one behind.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.sticky {
            true => self.connection().fetch_many(query),
            false => self.connection().fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.sticky {
            true => self.connection().fetch_optional(query),
            false => self.connection().fetch_optional(Unnamed(query)),
        }
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.connection().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.connection().describe(sql)
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.sticky {
            return self.sessions.fetch_many(query);
        }
        let rows = async move {
            let mut tx = self.begin().await?;
            let steps: Vec<Step> = tx.connection().fetch_many(Unnamed(query)).try_collect().await?;
            tx.commit().await?;
            Ok::<_, Error>(stream::iter(steps.into_iter().map(Ok::<Step, Error>)))
        };
        stream::once(rows).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.sticky {
            return self.sessions.fetch_optional(query);
        }
        Box::pin(async move {
            let mut tx = self.begin().await?;
            let row = tx.connection().fetch_optional(Unnamed(query)).await?;
            tx.commit().await?;
            Ok(row)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<<Postgres as Database>::Statement, Error>>
    where
        'c: 'e,
    {
        self.sessions.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.sessions.describe(sql)
    }
}
