//! The Lambda Invoke API door, over real connections.

mod calls;
mod door;
mod limits;
mod signatures;
