//! The addresses that the process listens on, and that no two are in each other's way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::file;
use crate::config::problem::{At, Findings, Place};
use crate::config::resolved::Ops;

/// Where the parts of the process listen.
pub(crate) struct Listeners {
    pub(crate) gateway: Vec<SocketAddr>,
    pub(crate) console: SocketAddr,
    pub(crate) ops: Ops,
}

/// An address, who listens there, and where that is written (none: it is the default).
struct Taken {
    address: SocketAddr,
    by: &'static str,
    place: Option<Place>,
}

pub(crate) fn resolve(
    gateway: &file::Gateway,
    console: &file::Console,
    ops: &file::Ops,
    findings: &mut Findings,
) -> Listeners {
    let mut taken: Vec<Taken> = Vec::new();
    match &gateway.listen {
        Some(list) => {
            taken.extend(list.value.0.iter().filter_map(|one| written(&one.value, "gateway.listen")))
        }
        // What is written and broken may be any address, but hardly the default.
        None if gateway.incomplete => {}
        None => taken.push(default(8080, "gateway.listen")),
    }
    let gateway = taken.iter().map(|taken| taken.address).collect();
    let console_address =
        one(console.listen.as_ref(), console.incomplete, 8081, "console.listen", &mut taken);
    let ops_address = one(ops.listen.as_ref(), ops.incomplete, 8082, "ops.listen", &mut taken);
    refuse_clashes(&taken, findings);
    Listeners { gateway, console: console_address, ops: Ops { listen: ops_address } }
}

fn one(
    listener: Option<&At<file::Listener>>,
    incomplete: bool,
    default_port: u16,
    by: &'static str,
    taken: &mut Vec<Taken>,
) -> SocketAddr {
    let at = listener.and_then(|listener| written(&listener.value, by));
    let known = at.is_some() || !incomplete;
    let at = at.unwrap_or_else(|| default(default_port, by));
    let address = at.address;
    if known {
        taken.push(at);
    }
    address
}

fn written(listener: &file::Listener, by: &'static str) -> Option<Taken> {
    let address = listener.address.as_ref()?;
    Some(Taken { address: address.value, by, place: Some(address.place) })
}

fn default(port: u16, by: &'static str) -> Taken {
    Taken { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), by, place: None }
}

fn refuse_clashes(taken: &[Taken], findings: &mut Findings) {
    for (at, later) in taken.iter().enumerate() {
        let Some(earlier) = taken.iter().take(at).find(|earlier| clash(earlier.address, later.address))
        else {
            continue;
        };
        // Whichever of the two is written is pointed at; defaults do not clash with each other.
        let (here, there) = if later.place.is_some() { (later, earlier) } else { (earlier, later) };
        let Some(place) = here.place else { continue };
        let whose = match there.place {
            Some(place) => format!("`{}` in line {} takes {}", there.by, place.line, there.address),
            None => format!("`{}` takes {} unless it is set", there.by, there.address),
        };
        findings.refuse(
            place,
            "two listeners on one address",
            format!("expected an address of its own: {whose}"),
        );
    }
}

/// Whether both cannot be listened on at once. Port 0 is a free port, a different one each time.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let every = |ip: IpAddr| ip.is_unspecified();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || (a.is_ipv4() == b.is_ipv4() && (every(a.ip()) || every(b.ip()))))
}

/// The URL by which this machine reaches the address.
pub(crate) fn url_of(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://localhost:{}", address.port());
    }
    format!("http://{address}")
}
