//! The one way out of the profile `fetch`: an HTTP proxy that opens tunnels (CONNECT) to some hosts.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// The registries of Rust, Node, Python and Go, and where they keep their files.
pub const REGISTRIES: &[&str] = &[
    "index.crates.io",
    "static.crates.io",
    "registry.npmjs.org",
    "pypi.org",
    "files.pythonhosted.org",
    "proxy.golang.org",
    "sum.golang.org",
];

/// The only port that is connected to, unless the operator has named another one for a host.
const PORT: u16 = 443;
/// The most that a request may have, in bytes.
const MOST_REQUEST: usize = 8 << 10;
/// How long a request, a name and a connection may take each.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many refusals are remembered.
const MOST_REFUSED: usize = 20;

/// Which hosts may be reached. Cheap to clone; the default lets nothing through.
#[derive(Clone, Debug, Default)]
pub struct Proxy(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    hosts: Vec<Host>,
    refused: Mutex<BTreeSet<String>>,
}

/// A host that may be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Host {
    /// Its name in small letters; with a leading dot all names below it.
    name: String,
    /// Where the operator says that it is; else its name is looked up, and it must be a public address.
    place: Option<SocketAddr>,
}

impl Proxy {
    /// Lets through to `hosts`: `registry.example`, `*.registry.example` (every name below), or
    /// `registry.example=10.1.2.3:8443` for one that is at that address, be it a private one.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let hosts = hosts.into_iter().map(|entry| {
            Host::read(entry.trim()).ok_or_else(|| {
                format!("{entry:?} is no host: expected registry.example, *.registry.example or registry.example=10.1.2.3:8443")
            })
        });
        Ok(Self(Arc::new(Inner { hosts: hosts.collect::<Result<_, _>>()?, refused: Mutex::default() })))
    }

    /// What was asked for and refused, with the reason: at most the first few.
    pub fn refused(&self) -> Vec<String> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, mut client: TcpStream) {
        let (status, message, there) = match self.open(&mut client).await {
            Ok(there) => (200, "Connection established".to_owned(), Some(there)),
            Err(None) => return,
            Err(Some((status, message))) => {
                let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
                if refused.len() < MOST_REFUSED {
                    refused.insert(message.clone());
                }
                (status, message, None)
            }
        };
        let told = match there {
            Some(_) => format!("HTTP/1.1 {status} {message}\r\n\r\n"),
            None => format!("HTTP/1.1 {status} Refused\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{message}", message.len()),
        };
        // Whoever goes away has no need of the rest.
        if client.write_all(told.as_bytes()).await.is_ok()
            && let Some(mut there) = there
        {
            copy_bidirectional(&mut client, &mut there).await.ok();
        }
    }

    /// The connection that the client asks for; else a status and the reason, or nothing where it asks for none.
    async fn open(&self, client: &mut TcpStream) -> Result<TcpStream, Option<(u16, String)>> {
        let request = match timeout(PATIENCE, head(client)).await {
            Ok(Ok(Some(request))) => request,
            Ok(Ok(None)) => return Err(Some((431, "a request that is too long".to_owned()))),
            Ok(Err(_)) | Err(_) => return Err(None),
        };
        let (name, port) = match target(&request) {
            Some(target) => target,
            None => {
                let asked: String = request.chars().take_while(|letter| !letter.is_control()).take(200).collect();
                return Err(Some((405, format!("only CONNECT host:{PORT} is served, not {asked:?}"))));
            }
        };
        let refused = |why: &str| Err(Some((403, format!("{name}:{port} {why}"))));
        let Some(host) = self.0.hosts.iter().find(|host| host.is(&name)) else {
            return refused("is not among the hosts that dependencies are fetched from (CODETEAM_FETCH_HOSTS)");
        };
        if port != PORT {
            return refused("is not the port of HTTPS");
        }
        let places = match host.place {
            Some(place) => vec![place],
            None => match timeout(PATIENCE, lookup_host((name.as_str(), port))).await {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(_)) | Err(_) => return Err(Some((502, format!("{name} has no address")))),
            },
        };
        let reachable: Vec<SocketAddr> = places.iter().copied().filter(|place| host.place.is_some() || is_public(place.ip())).collect();
        if reachable.is_empty() {
            return refused("is at a private address");
        }
        for place in reachable {
            if let Ok(Ok(there)) = timeout(PATIENCE, TcpStream::connect(place)).await {
                return Ok(there);
            }
        }
        Err(Some((502, format!("{name} does not answer"))))
    }
}

impl Host {
    fn read(entry: &str) -> Option<Self> {
        let (name, place) = match entry.split_once('=') {
            Some((name, place)) => (name, Some(place.parse().ok()?)),
            None => (entry, None),
        };
        let name = match name.strip_prefix('*') {
            Some(below) => below.strip_prefix('.').filter(|below| below.contains('.')).map(|below| format!(".{below}"))?,
            None => name.to_owned(),
        };
        let part = |part: &str| !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
        let whole = name.strip_prefix('.').unwrap_or(&name);
        let is_name = whole.split('.').all(part) && whole.parse::<IpAddr>().is_err();
        is_name.then(|| Self { name: name.to_ascii_lowercase(), place })
    }

    fn is(&self, name: &str) -> bool {
        if self.name.starts_with('.') { name.ends_with(&self.name) && name.len() > self.name.len() } else { name == self.name }
    }
}

/// The head of a request; `None` when it is too long. What comes after it belongs to the tunnel and is not read: nobody speaks
/// before the answer.
async fn head(client: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MOST_REQUEST {
            return Ok(None);
        }
        head.push(client.read_u8().await?);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The host, in small letters, and the port of a CONNECT.
fn target(request: &str) -> Option<(String, u16)> {
    let mut words = request.lines().next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let (name, port) = target.rsplit_once(':')?;
    let is_name = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'.' | b'[' | b']' | b':'));
    let known = method == "CONNECT" && version.starts_with("HTTP/1.") && words.next().is_none() && is_name && !name.is_empty();
    known.then(|| Some((name.trim_end_matches('.').to_ascii_lowercase(), port.parse().ok()?))).flatten()
}

/// Whether everybody means the same machine by it, out on the internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By IANA's registry of special-purpose addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(matches!(a, 0 | 10 | 127 | 224..)
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && (b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99)))
        || (a == 198 && (matches!(b, 18 | 19) || (b == 51 && c == 100)))
        || (a == 203 && b == 0 && c == 113))
}

/// Only what is given out to networks (2000::/3), less what stands for other addresses or for none.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    (0x2000..0x4000).contains(&a) && !(a == 0x2001 && (b < 0x200 || b == 0xdb8)) && a != 0x2002 && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_local_and_metadata_addresses_are_not_public() {
        let private = "0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.1 192.0.0.170 192.0.2.1 \
                       192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.7 224.0.0.1 255.255.255.255 :: ::1 ::ffff:169.254.169.254 ::127.0.0.1 \
                       64:ff9b::a9fe:a9fe 2001::1 2001:db8::1 2002:a9fe:a9fe::1 fd00:ec2::254 fe80::1 ff02::1 3fff::1";
        for address in private.split_whitespace() {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in "1.1.1.1 100.63.0.1 172.32.0.1 192.0.1.1 198.20.0.1 2606:4700::1111 2a00:1450:4001::1".split_whitespace() {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_host_is_its_own_name_or_one_below_it_and_never_an_address() {
        let is = |entry: &str, name: &str| Host::read(entry).unwrap().is(name);
        assert!(is("Registry.Example", "registry.example") && is("*.cdn.example", "a.b.cdn.example"));
        for (entry, name) in [("registry.example", "evil-registry.example"), ("registry.example", "registry.example.evil")] {
            assert!(!is(entry, name), "{name}");
        }
        for name in ["cdn.example", "evilcdn.example", ".cdn.example"] {
            assert!(!is("*.cdn.example", name), "{name}");
        }
        let pinned = Host::read("registry.corp=10.1.2.3:8443").unwrap();
        assert_eq!(pinned, Host { name: "registry.corp".to_owned(), place: Some("10.1.2.3:8443".parse().unwrap()) });
        for entry in ["", "*", "*.com", "10.1.2.3", "a b", "http://registry.example", "registry.example=here"] {
            assert_eq!(Host::read(entry), None, "{entry:?}");
        }
    }

    #[test]
    fn only_a_plain_connect_is_understood() {
        let to = |line: &str| target(&format!("{line}\r\nHost: x\r\n\r\n"));
        assert_eq!(to("CONNECT Registry.Example.:443 HTTP/1.1"), Some(("registry.example".to_owned(), 443)));
        let others =
            ["GET http://registry.example/ HTTP/1.1", "CONNECT registry.example HTTP/1.1", "CONNECT a/b:443 HTTP/1.1", "CONNECT a:443"];
        for line in others {
            assert_eq!(to(line), None, "{line}");
        }
    }
}
