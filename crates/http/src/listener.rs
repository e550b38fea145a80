//! The socket that is listened on.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait in the system's queue until they are accepted.
const BACKLOG: i32 = 1024;

/// Listens on `address`. A connection whose client takes nothing of what waits for it is ended after `write_timeout`.
///
/// The system counts that time: a server that writes learns only that it cannot, and not for how long. Connections have
/// what is set here from the moment they are there, before anything is known about them.
pub(crate) fn listen(address: SocketAddr, write_timeout: Duration) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted service must not wait for the connections of the one before.
    socket.set_reuse_address(true)?;
    // Where the system has no such time, its own patience holds, which is minutes.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(write_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_timeout;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
