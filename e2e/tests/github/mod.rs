//! GitHub's own description of its REST API judges every request that our client sends, and its examples are read by it; and whole
//! conversations are held with a GitHub that remembers what it was told.

mod conversation;
mod description;
mod emulator;
