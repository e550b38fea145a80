//! Stands between the service and its server, and lets connections fall silent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A proxy for TCP. It serves until the test process ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    links: Arc<Mutex<Vec<Link>>>,
}

/// A connection of a client, and the one to the server that belongs to it.
struct Link {
    is_silent: Arc<AtomicBool>,
    /// Keeps both open after they have fallen silent.
    _ends: [TcpStream; 2],
}

impl Proxy {
    /// A proxy for the server at `server`.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let links = Arc::<Mutex<Vec<Link>>>::default();
        let all = Arc::clone(&links);
        thread::spawn(move || {
            for client in listener.incoming() {
                let link = connect(client.expect("a client"), server);
                locked(&all).push(link);
            }
        });
        Self { address, links }
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, the connections that exist stay open and accept what is sent, and nothing arrives over them, in either
    /// direction. New connections work. Returns the number of connections.
    pub(crate) fn silence(&self) -> usize {
        let links = locked(&self.links);
        links.iter().for_each(|link| link.is_silent.store(true, Ordering::SeqCst));
        links.len()
    }
}

fn locked(links: &Mutex<Vec<Link>>) -> MutexGuard<'_, Vec<Link>> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(client: TcpStream, server: SocketAddr) -> Link {
    let server = TcpStream::connect(server).expect("a server that listens");
    let is_silent = Arc::new(AtomicBool::new(false));
    let same = |stream: &TcpStream| stream.try_clone().expect("the same connection");
    for (from, to) in [(same(&client), same(&server)), (same(&server), same(&client))] {
        from.set_nodelay(true).expect("a connection");
        let is_silent = Arc::clone(&is_silent);
        thread::spawn(move || forward(from, to, &is_silent));
    }
    Link { is_silent, _ends: [client, server] }
}

/// Reads until the end, and sends on what it has read for as long as the connection is not silent.
fn forward(mut from: TcpStream, mut to: TcpStream, is_silent: &AtomicBool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_silent.load(Ordering::SeqCst) && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    if !is_silent.load(Ordering::SeqCst) {
        let _both_may_be_closed = to.shutdown(Shutdown::Both);
    }
}
