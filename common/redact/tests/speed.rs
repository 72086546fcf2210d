//! The time is linear, also for text that was made to be slow.

use std::time::Duration;

use domain::Secret;
use redact::{Redactor, hidden, markdown};
use rustix::time::{ClockId, clock_gettime};

/// The processor's time of this thread: what else the machine does is none of it. The least of three, for caches.
fn time(text: &str, work: impl Fn(&str)) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let once = |_| {
        let started = now();
        work(text);
        now() - started
    };
    (0..3).map(once).min().unwrap()
}

#[test]
fn eight_times_the_text_takes_about_eight_times_as_long() {
    let redactor = Redactor::new();
    redactor.register("A_KEY", &Secret::new("kX9vQ2mL7pRt4wZs8nBc"));
    redactor.text("builds the automaton");
    let begin = ["-----BEGIN ", "PRIVATE KEY-----"].concat();
    let units = [
        "ghp_",
        "eyJ",
        " eyJ",
        "eyJ.",
        "://",
        "a://b:",
        "x://a@",
        &begin,
        "authorization: bearer ",
        "kX9vQ2mL7pRt4wZs8nB",
        "<!--",
        "<!-",
        "-->",
        "\x1b]",
        "\\u{",
        "fixes ",
        "[a]: ",
        "DEK-Info -----BEGIN ",
        "kX9vQ2mL7pRt4wZs8nBc",
        "secret_access_key=",
        "@a![](",
    ];
    for unit in units {
        let text = |bytes: usize| unit.repeat(bytes / unit.len());
        let all = |text: &str| {
            redactor.redact(text);
            hidden::strip(text);
            hidden::of_terminal(text);
            hidden::unescaped(text);
            markdown::inert(text);
        };
        let (short, long) = (time(&text(1 << 13), all), time(&text(1 << 16), all));
        assert!(long < 24 * short + Duration::from_millis(50), "{unit:?}: {short:?} for 8 KiB, {long:?} for 64 KiB");
    }
}
