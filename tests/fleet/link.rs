//! The faulty link itself: each fault does what it says, and only that. Otherwise the scenarios would prove nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::fault_proxy::{Direction, Fault, FaultProxy};
use crate::support::{WATCHDOG, eventually};

/// A server that tells what reaches it and answers `!` to each piece.
fn server() -> (std::net::SocketAddr, Receiver<Vec<u8>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, arrived) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut piece = [0; 1024];
                while let Ok(read) = stream.read(&mut piece) {
                    let told = sender.send(piece[..read].to_vec()).is_ok();
                    if read == 0 || !told || stream.write_all(b"!").is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, arrived)
}

fn connect(link: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(link.address()).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream
}

fn answered(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 1];
    matches!(stream.read(&mut answer), Ok(1))
}

/// Whether nothing comes within a moment that is far longer than loopback takes.
fn silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let nothing = stream.read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    nothing
}

#[test]
fn a_sound_link_passes_both_ways_and_ends_in_order() {
    let (address, arrived) = server();
    let link = FaultProxy::to(address);
    let mut stream = connect(&link);
    stream.write_all(b"hello").unwrap();
    assert_eq!(arrived.recv_timeout(WATCHDOG).unwrap(), b"hello");
    assert!(answered(&mut stream));
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(arrived.recv_timeout(WATCHDOG).unwrap(), b"");
    assert_eq!(link.connections_made(), 1);
}

#[test]
fn what_a_blackhole_swallows_arrives_late_and_whole() {
    let (address, arrived) = server();
    let link = FaultProxy::to(address);
    let mut old = connect(&link);
    old.write_all(b"a").unwrap();
    assert!(answered(&mut old));
    assert_eq!(arrived.recv_timeout(WATCHDOG).unwrap(), b"a");
    link.set(Fault::Blackhole);
    let mut new = connect(&link);
    old.write_all(b"b").unwrap();
    new.write_all(b"b").unwrap();
    assert!(silent(&mut old) && silent(&mut new) && arrived.try_recv().is_err());
    link.heal();
    assert!(answered(&mut old) && answered(&mut new));
}

#[test]
fn an_answer_that_is_held_belongs_to_a_call_that_was_carried_out() {
    for fault in [Fault::Hold(Direction::ToProcess), Fault::Lose(Direction::ToProcess)] {
        let (address, arrived) = server();
        let link = FaultProxy::to(address);
        let mut stream = connect(&link);
        link.set(fault);
        stream.write_all(b"a").unwrap();
        assert_eq!(arrived.recv_timeout(WATCHDOG).unwrap(), b"a");
        assert!(silent(&mut stream));
        link.heal();
        assert_eq!(answered(&mut stream), fault == Fault::Hold(Direction::ToProcess), "{fault:?}");
    }
}

#[test]
fn a_call_that_is_lost_never_arrives() {
    let (address, arrived) = server();
    let link = FaultProxy::to(address);
    let mut stream = connect(&link);
    link.set(Fault::Lose(Direction::ToServer));
    stream.write_all(b"a").unwrap();
    assert!(silent(&mut stream));
    link.heal();
    assert!(!answered(&mut stream), "a connection that lost something ends");
    assert!(arrived.try_iter().all(|piece| piece.is_empty()));
}

#[test]
fn a_refusing_link_resets_old_and_new_connections_and_a_cut_only_old_ones() {
    let (address, _arrived) = server();
    let link = FaultProxy::to(address);
    let mut stream = connect(&link);
    stream.write_all(b"a").unwrap();
    assert!(answered(&mut stream));
    link.cut();
    assert!(!answered(&mut stream));
    let mut second = connect(&link);
    second.write_all(b"a").unwrap();
    assert!(answered(&mut second));
    link.set(Fault::Refuse);
    assert!(!answered(&mut second));
    eventually("a new connection is reset", || !answered(&mut connect(&link)));
    link.heal();
    let mut third = connect(&link);
    third.write_all(b"a").unwrap();
    assert!(answered(&mut third));
}

#[test]
fn slow_links_deliver_everything() {
    let faults = [
        Fault::Delay(Duration::from_millis(5)),
        Fault::Trickle { bytes: 1, pause: Duration::from_millis(1) },
    ];
    for fault in faults {
        let (address, arrived) = server();
        let link = FaultProxy::to(address);
        link.set(fault);
        let mut stream = connect(&link);
        stream.write_all(b"hello").unwrap();
        let mut got = Vec::new();
        while got.len() < 5 {
            got.extend(arrived.recv_timeout(WATCHDOG).unwrap());
        }
        assert_eq!(got, b"hello");
        assert!(answered(&mut stream));
    }
}
