//! The listening socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait in the system's queue until they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`. The system ends a connection whose client takes no waiting data for `write_timeout`.
///
/// The system measures this time: a server that writes learns only that it cannot write now, not for how long. The
/// options of this socket apply to each connection from its first moment, before the service has accepted it.
pub(crate) fn listen(address: SocketAddr, write_timeout: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted service must not wait until the connections of the previous process have left TIME_WAIT.
    socket.set_reuse_address(true)?;
    // A system without this option has its own timeout, which is minutes.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(write_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Lets no new connection into the system's queue, and keeps those that are in it or half way through their handshake.
///
/// A client that tries to connect gets no answer, tries again after a second, and is refused as soon as the socket is
/// closed.
#[cfg(target_os = "linux")]
pub(crate) fn refuse_connections(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // A program of the kernel's packet filter. It sees a segment from its TCP header on, whose flags are byte 13, and
    // drops (returns 0 bytes of) those with SYN (2) and without ACK (16). Connections inherit it from their listening
    // socket; none of their segments is like that.
    const DROP_SYN: [SockFilter; 5] = [
        SockFilter::new(0x30, 0, 0, 13),          // load the byte
        SockFilter::new(0x54, 0, 0, 0x12),        // keep the bits SYN and ACK
        SockFilter::new(0x15, 0, 1, 0x02),        // if SYN alone remains
        SockFilter::new(0x06, 0, 0, 0),           // drop
        SockFilter::new(0x06, 0, 0, 0xffff_ffff), // pass
    ];
    SockRef::from(listener).attach_filter(&DROP_SYN)
}

/// Only Linux can do that: elsewhere, connections that arrive until the socket is closed may be reset.
#[cfg(not(target_os = "linux"))]
pub(crate) fn refuse_connections(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether a connection waits to be accepted.
pub(crate) fn has_waiting(listener: &TcpListener) -> bool {
    let mut listener = [PollFd::new(listener, PollFlags::IN)];
    // An error is an interruption by a signal, or a lack of memory: the caller looks again.
    poll(&mut listener, Some(&Timespec::default())).unwrap_or(1) > 0
}
