//! The listening socket.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

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
