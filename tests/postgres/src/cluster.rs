use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Socket, Type};

use crate::database::Server;
use crate::installation::{Account, Installation, report_skipped};
use crate::process;
use crate::statements;

/// The port of a server that does not listen on TCP. It is part of the name of the Unix socket, which is in the folder
/// of the server.
const SOCKET_PORT: u16 = 5432;

/// How a server is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Whether committed data survives a power cut, as in production: then all settings except `max_connections` have
    /// PostgreSQL's defaults. Otherwise the server starts and writes faster, and data still survives
    /// [`Cluster::crash`].
    pub durable: bool,
    /// Whether the server also listens on a port of 127.0.0.1. Then [`Cluster::create_database`] returns a URL with it.
    pub tcp: bool,
}

/// A PostgreSQL server for one test, in a temporary folder.
///
/// When it is dropped, the server is stopped and its files are removed. The same happens when the test process ends,
/// even if that is killed.
pub struct Cluster {
    folder: PathBuf,
    log: PathBuf,
    port: Option<ReservedPort>,
    running: Mutex<Running>,
}

struct Running {
    /// The shell that runs `guardian.sh`.
    guardian: Child,
    /// Its standard input. `None` once the cluster is being dropped.
    orders: Option<ChildStdin>,
    /// Its standard output.
    answers: BufReader<ChildStdout>,
    /// The process id of the server that was started last.
    server: u32,
}

impl Cluster {
    /// Makes and starts a server. If PostgreSQL is not installed, reports the test as skipped and returns `None`.
    ///
    /// # Panics
    /// If the server does not start, or if PostgreSQL is not installed and `ROSTER_REQUIRE_POSTGRES` is `1`.
    #[must_use]
    pub fn create(options: ClusterOptions) -> Option<Self> {
        let cluster = Self::create_if_installed(options);
        if cluster.is_none() {
            report_skipped();
        }
        cluster
    }

    /// As [`Cluster::create`], but without a report if PostgreSQL is not installed.
    pub(crate) fn create_if_installed(options: ClusterOptions) -> Option<Self> {
        let installation = Installation::find()?;
        Some(Self::make(&installation, options).expect("a PostgreSQL server could be made"))
    }

    /// Makes and starts a hot standby of this server: it has the same databases, applies what this server commits, and
    /// can be read meanwhile. It is durable and listens on TCP, and this server must do so too.
    ///
    /// # Panics
    /// If this server refuses or is not running.
    #[must_use]
    pub fn standby(&self) -> Self {
        let installation = Installation::find().expect("the installation of this server");
        let options = ClusterOptions { durable: true, tcp: true };
        Self::with_data(&installation, options, |account, folder| self.copy_to(&installation, account, folder))
            .expect("a standby could be made")
    }

    fn make(installation: &Installation, options: ClusterOptions) -> io::Result<Self> {
        Self::with_data(installation, options, |account, folder| initialise(installation, account, folder, options))
    }

    /// Makes and starts a server whose folder `fill` provides with data.
    fn with_data(
        installation: &Installation,
        options: ClusterOptions,
        fill: impl FnOnce(Option<Account>, &Path) -> io::Result<()>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("roster-postgres-").tempdir()?;
        let account = Account::for_server()?;
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        fill(account, folder.path())?;
        let port = if options.tcp { Some(ReservedPort::reserve()?) } else { None };
        let command = server_command(installation, folder.path(), options, port.as_ref());
        let log = statements::log_of(folder.path())?;
        let mut guardian = guardian(account, folder.path(), &log, command)?;
        let (orders, answers) = (guardian.stdin.take(), guardian.stdout.take().map(BufReader::new));
        // From here on the guardian removes the folder, not `TempDir`.
        let folder = folder.keep();
        let answers = answers.ok_or_else(|| io::Error::other("the guardian has no standard output"))?;
        let cluster = Self { folder, log, port, running: Mutex::new(Running { guardian, orders, answers, server: 0 }) };
        cluster.start();
        Ok(cluster)
    }

    /// Starts the server again after [`Cluster::stop`] or [`Cluster::crash`], with the same data and the same URL.
    /// Returns when it accepts connections.
    ///
    /// # Panics
    /// If it does not accept connections in time.
    pub fn start(&self) {
        let mut running = self.running();
        let server = running.start_server().expect("the guardian starts the server");
        let ready = || {
            assert!(process::is_running(server), "the server ended: {}", self.log());
            self.is_ready(server)
        };
        process::wait_until(|| format!("the server is not ready: {}", self.log()), ready);
    }

    /// Shuts the server down as an administrator would: it tells its clients and disconnects them. Returns when it has
    /// ended.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn stop(&self) {
        let running = self.running();
        process::signal("INT", &[running.server]);
        process::wait_until(|| "the server to stop".to_owned(), || !process::is_running(running.server));
    }

    /// Kills the server and its children. Returns when all have ended.
    ///
    /// # Panics
    /// If they do not end in time.
    pub fn crash(&self) {
        let running = self.running();
        let processes = running.stop_all();
        process::signal("KILL", &processes);
        let gone = || processes.iter().all(|&process| !process::is_running(process));
        process::wait_until(|| "the server to be killed".to_owned(), gone);
    }

    /// Stops the server and its children with SIGSTOP, as if their machine were out of reach: connections stay open,
    /// and no request is answered. Returns when all are stopped.
    ///
    /// # Panics
    /// If they are not stopped in time.
    pub fn freeze(&self) {
        self.running().stop_all();
    }

    /// Stops one process of the server with SIGSTOP, such as one that serves a connection. Returns when it is stopped.
    ///
    /// # Panics
    /// If it is no process of the server, or is not stopped in time.
    pub fn freeze_process(&self, process: u32) {
        assert!(self.processes().contains(&process), "{process} is no process of the server");
        process::signal("STOP", &[process]);
        process::wait_until(|| format!("the process {process} is not stopped"), || process::is_stopped(process));
    }

    /// Continues a frozen server. Returns when none of its processes is stopped.
    ///
    /// # Panics
    /// If one remains stopped for too long.
    pub fn thaw(&self) {
        let all = self.running().all();
        process::signal("CONT", &all);
        let none_stopped = || !all.iter().any(|&process| process::is_stopped(process));
        process::wait_until(|| format!("a process of {all:?} is still stopped"), none_stopped);
    }

    /// The process ids of the server and its children.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.running().all()
    }

    /// The log of the server so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    /// If the server is not running.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = self.server().create_database(None);
        self.url(&name)
    }

    /// The URL of a database on this server, whether or not it exists.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        match &self.port {
            Some(port) => format!("postgresql://postgres@127.0.0.1:{}/{database}", port.number),
            None => self.server().url(database),
        }
    }

    /// The server, reached over its Unix socket.
    pub(crate) fn server(&self) -> Server {
        let port = port_number(self.port.as_ref());
        Server::new(format!("postgresql:///postgres?host={}&port={port}&user=postgres", self.folder.display()))
    }

    /// Copies the data of this running server to `folder`, with the settings of a standby.
    fn copy_to(&self, installation: &Installation, account: Option<Account>, folder: &Path) -> io::Result<()> {
        let mut command = Command::new(installation.binary("pg_basebackup"));
        command.args(["--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        command.arg("--host").arg(&self.folder).arg(format!("--port={}", port_number(self.port.as_ref())));
        command.arg("--pgdata").arg(folder.join("data"));
        run(command, account, folder)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A test that panicked while it held the lock has not broken the server for the other tests.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `server` accepts connections, according to its lock file, which `pg_ctl` reads too.
    ///
    /// The eighth line is the state. The first is the process id: a server that was killed leaves its file behind.
    fn is_ready(&self, server: u32) -> bool {
        let lock_file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        let line = |number| lock_file.lines().nth(number).unwrap_or_default().trim();
        line(0) == server.to_string() && line(7) == "ready"
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut running = self.running();
        // At the end of its input the guardian ends the server and removes the folder.
        running.orders = None;
        let _ = running.guardian.wait();
    }
}

impl Running {
    fn start_server(&mut self) -> io::Result<u32> {
        let orders = self.orders.as_mut().ok_or_else(|| io::Error::other("the cluster is being dropped"))?;
        writeln!(orders, "start")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        self.server = answer.trim().parse().map_err(io::Error::other)?;
        Ok(self.server)
    }

    /// The server and its children.
    fn all(&self) -> Vec<u32> {
        [vec![self.server], process::children(self.server)].concat()
    }

    /// Stops the server and its children, and returns them when all are stopped.
    fn stop_all(&self) -> Vec<u32> {
        // The server first: until it is stopped it may fork a child that answers a client, and is in no list yet.
        process::signal("STOP", &[self.server]);
        let server_stopped = || process::is_stopped(self.server);
        process::wait_until(|| format!("the server {} is not stopped", self.server), server_stopped);
        let all = self.all();
        process::signal("STOP", &all);
        // A child may have ended before the signal arrived.
        let all_stopped = || all.iter().all(|&process| process::is_stopped(process) || !process::is_running(process));
        process::wait_until(|| format!("a process of {all:?} is not stopped"), all_stopped);
        assert!(self.all().iter().all(|process| all.contains(process)), "the stopped server has a new child");
        all
    }
}

fn initialise(
    installation: &Installation,
    account: Option<Account>,
    folder: &Path,
    options: ClusterOptions,
) -> io::Result<()> {
    let mut command = Command::new(installation.binary("initdb"));
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    if !options.durable {
        // Small segments are written faster. They also make `max_wal_size` small, and checkpoints frequent.
        command.arg("--wal-segsize=1");
    }
    command.arg("--pgdata").arg(folder.join("data"));
    run(command, account, folder)
}

/// Runs a program of the installation in `folder`, as the account of the server, to its end.
fn run(mut command: Command, account: Option<Account>, folder: &Path) -> io::Result<()> {
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some(account) = account {
        account.run(&mut command);
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let (program, reason) = (command.get_program().display(), String::from_utf8_lossy(&output.stderr));
    Err(io::Error::other(format!("{program} failed: {reason}")))
}

/// A port of 127.0.0.1 that no other process gets, even while the server is stopped.
///
/// The socket is bound and never listens. With `SO_REUSEADDR`, which PostgreSQL sets too, Linux lets the server bind to
/// the same port, but gives it to no process that asks for any free port.
struct ReservedPort {
    number: u16,
    _socket: Socket,
}

impl ReservedPort {
    fn reserve() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("a socket without a port"))?;
        Ok(Self { number: address.port(), _socket: socket })
    }
}

fn port_number(port: Option<&ReservedPort>) -> u16 {
    port.map_or(SOCKET_PORT, |port| port.number)
}

fn server_command(
    installation: &Installation,
    folder: &Path,
    options: ClusterOptions,
    port: Option<&ReservedPort>,
) -> Vec<OsString> {
    let data = folder.join("data");
    let mut command: Vec<OsString> = vec![installation.binary("postgres").into(), "-D".into(), data.into()];
    command.extend(["-k".into(), folder.into()]);
    let listen = format!("listen_addresses={}", if port.is_some() { "127.0.0.1" } else { "" });
    let port = format!("port={}", port_number(port));
    let mut settings = vec![port.as_str(), listen.as_str(), "max_connections=200"];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]);
        settings.extend(["wal_level=minimal", "max_wal_senders=0"]);
    }
    settings.extend(statements::settings());
    for setting in settings {
        command.extend(["-c".into(), setting.into()]);
    }
    command
}

fn guardian(account: Option<Account>, folder: &Path, log: &Path, server: Vec<OsString>) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command
        .args(["-c", include_str!("guardian.sh"), "guardian"])
        .arg(folder)
        .args(server)
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Opened by this process: the account of the server may have no access to the folder of the log.
        .stderr(OpenOptions::new().create(true).append(true).open(log)?)
        // Its own process group: an interrupt from the terminal ends the tests first, and then the server.
        .process_group(0);
    if let Some(account) = account {
        account.run(&mut command);
    }
    command.spawn()
}
