//! Rebuilds when SQL changes: `sqlx::migrate!` embeds the migrations, and not every macro of sqlx watches its
//! file.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
    println!("cargo:rerun-if-changed=sql");
}
