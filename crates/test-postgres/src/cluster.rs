use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::database::Server;
use crate::installation::{Account, Installation, say_skipped};
use crate::process;
use crate::statements;

/// The port of a server that listens on none: it stands in the name of the socket, whose folder is the server's own.
const SOCKET_PORT: u16 = 5432;

/// What a server is started with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Whether what is committed survives a power cut, as in production: all settings but `max_connections` are
    /// PostgreSQL's own defaults then. Without, a server starts and writes faster; it still survives
    /// [`Cluster::crash`].
    pub durable: bool,
    /// Whether it listens on a port of 127.0.0.1 too, and [`Cluster::create_database`] names that.
    pub tcp: bool,
}

/// A PostgreSQL server of a test's own, in a temporary folder, with no other port than it was asked for.
///
/// Dropping it stops the server and removes its files. So does the end of the test process, however that comes.
pub struct Cluster {
    folder: PathBuf,
    log: PathBuf,
    tcp_port: Option<u16>,
    running: Mutex<Running>,
}

struct Running {
    guardian: Child,
    /// `None` once it is being dropped.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The server that was started last.
    server: u32,
}

impl Cluster {
    /// Makes and starts a server. `None`, once that is said aloud, if none is installed.
    ///
    /// # Panics
    /// If it does not start, or if none is installed and `ROSTER_REQUIRE_POSTGRES` is `1`.
    #[must_use]
    pub fn create(options: ClusterOptions) -> Option<Self> {
        let cluster = Self::create_if_installed(options);
        if cluster.is_none() {
            say_skipped();
        }
        cluster
    }

    /// As [`Cluster::create`], but says nothing.
    pub(crate) fn create_if_installed(options: ClusterOptions) -> Option<Self> {
        let installation = Installation::find()?;
        Some(Self::make(&installation, options).expect("a PostgreSQL server could be made"))
    }

    fn make(installation: &Installation, options: ClusterOptions) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("roster-postgres-").tempdir()?;
        let account = Account::for_server(folder.path())?;
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        initialise(installation, account, folder.path(), options)?;
        let tcp_port = if options.tcp { Some(free_port()?) } else { None };
        let command = server_command(installation, folder.path(), options, tcp_port);
        let log = statements::log_of(folder.path())?;
        let mut guardian = guardian(account, folder.path(), &log, command)?;
        let (orders, answers) = (guardian.stdin.take(), guardian.stdout.take().map(BufReader::new));
        // From here on the guardian removes the folder.
        let folder = folder.keep();
        let answers = answers.ok_or_else(|| io::Error::other("the guardian has no standard output"))?;
        let cluster =
            Self { folder, log, tcp_port, running: Mutex::new(Running { guardian, orders, answers, server: 0 }) };
        cluster.start();
        Ok(cluster)
    }

    /// Starts the server again, in the same place and with the same data. Returns when it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&self) {
        let mut running = self.running();
        let server = running.start_server().expect("the guardian of the server is there");
        let ready = || {
            assert!(process::is_running(server), "the server ended: {}", self.log());
            self.is_ready(server)
        };
        process::wait_until(|| format!("the server is not ready: {}", self.log()), ready);
    }

    /// Shuts the server down as an administrator would: its clients are told, and thrown out. Returns when it is gone.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(&self) {
        let running = self.running();
        process::signal("INT", &[running.server]);
        process::wait_until(|| "the server to stop".to_owned(), || !process::is_running(running.server));
    }

    /// Kills the server and all that serve its clients. Returns when they are gone.
    ///
    /// # Panics
    /// If they do not end.
    pub fn crash(&self) {
        let running = self.running();
        let processes = running.stop_all();
        process::signal("KILL", &processes);
        let gone = || processes.iter().all(|&process| !process::is_running(process));
        process::wait_until(|| "the server to be killed".to_owned(), gone);
    }

    /// Makes the server stand still with all that serve its clients, as if its machine were out of reach: connections
    /// stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.running().stop_all();
    }

    /// Lets a frozen server go on where it stood.
    pub fn thaw(&self) {
        let running = self.running();
        process::signal("CONT", &running.all());
    }

    /// The server and all that it started, as process identifiers.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.running().all()
    }

    /// What the server logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Panics
    /// If the server does not run.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = self.server().create_database(None);
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        match self.tcp_port {
            Some(port) => format!("postgresql://postgres@127.0.0.1:{port}/{database}"),
            None => self.server().url(database),
        }
    }

    /// The server, by its socket.
    pub(crate) fn server(&self) -> Server {
        let port = self.tcp_port.unwrap_or(SOCKET_PORT);
        Server::new(format!("postgresql:///postgres?host={}&port={port}&user=postgres", self.folder.display()))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A test that failed while it held the server has not broken it for the others.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `server` says of itself, where `pg_ctl` too reads it: the first line of its lock file has its process id,
    /// as one that was killed leaves its file behind, and the eighth its state.
    fn is_ready(&self, server: u32) -> bool {
        let lock_file = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        let line = |number| lock_file.lines().nth(number).unwrap_or_default().trim();
        line(0) == server.to_string() && line(7) == "ready"
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut running = self.running();
        // The end of its input is the guardian's order to end the server and to remove the folder.
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

    /// The server, and what it started.
    fn all(&self) -> Vec<u32> {
        [vec![self.server], process::children(self.server)].concat()
    }

    /// Stops them all; first the server, so that it starts no more meanwhile.
    fn stop_all(&self) -> Vec<u32> {
        process::signal("STOP", &[self.server]);
        let all = self.all();
        process::signal("STOP", &all);
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
        // Small segments are made faster. They also make `max_wal_size` small, and checkpoints frequent.
        command.arg("--wal-segsize=1");
    }
    command.arg("--pgdata").arg(folder.join("data")).current_dir(folder).env("LC_ALL", "C");
    if let Some(account) = account {
        account.run(&mut command);
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("initdb failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// A port that nobody listens on. Another process may take it before the server does, which then fails to start.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn server_command(
    installation: &Installation,
    folder: &Path,
    options: ClusterOptions,
    tcp_port: Option<u16>,
) -> Vec<OsString> {
    let data = folder.join("data");
    let mut command: Vec<OsString> = vec![installation.binary("postgres").into(), "-D".into(), data.into()];
    command.extend(["-k".into(), folder.into()]);
    let port = format!("port={}", tcp_port.unwrap_or(SOCKET_PORT));
    let listen = format!("listen_addresses={}", if tcp_port.is_some() { "127.0.0.1" } else { "" });
    let mut settings = vec![port.as_str(), listen.as_str(), "max_connections=200"];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]);
        settings.extend(["wal_level=minimal", "max_wal_senders=0", "jit=off"]);
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
        // Opened here and handed down: the account of the server may not be let into the folder of the log.
        .stderr(OpenOptions::new().create(true).append(true).open(log)?)
        // A group of its own: an interrupt from the terminal ends the tests, and only then the server.
        .process_group(0);
    if let Some(account) = account {
        account.run(&mut command);
    }
    command.spawn()
}
