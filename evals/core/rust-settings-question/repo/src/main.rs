mod args;
mod environment;
mod file;
mod settings;

fn main() {
    let settings = settings::load();
    println!("listening on {} with {} workers", settings.port, settings.workers);
}
