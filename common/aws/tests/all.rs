//! The crate against stubs of AWS that refuse malformed requests.
