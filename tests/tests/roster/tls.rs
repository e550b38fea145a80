//! HTTPS, which two configuration keys turn on.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use roster_tests::deadline::TIMEOUT;
use roster_tests::program::{Program, roster};
use roster_tests::{Database, Kind, raw};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};
use tempfile::TempDir;

use crate::slow_clients::SlowClient;

/// A self-signed certificate and its private key, in files.
struct Certificate {
    pem: String,
    chain: PathBuf,
    key: PathBuf,
    folder: TempDir,
}

impl Certificate {
    fn create() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let folder = TempDir::new().expect("a folder");
        let (chain, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        fs::write(&chain, made.cert.pem()).expect("a file");
        fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        Self { pem: made.cert.pem(), chain, key, folder }
    }

    fn settings(&self) -> [(&str, &str); 2] {
        [
            ("ROSTER__HTTP__TLS_CERTIFICATE", self.chain.to_str().expect("UTF-8")),
            ("ROSTER__HTTP__TLS_KEY", self.key.to_str().expect("UTF-8")),
        ]
    }

    /// Sends GET to the service at `address` and returns the response with its head.
    fn get(&self, address: SocketAddr, path: &str, version: &'static SupportedProtocolVersion) -> io::Result<String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
        let config = config.expect("a version").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(&raw::request("GET", path, &[("connection", "close")], b""))?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }
}

#[test]
fn a_service_with_a_certificate_and_a_key_speaks_only_https() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let certificate = Certificate::create();
    let program = Program::serve(database.url(), &certificate.settings());
    assert!(program.lines().all().iter().any(|line| line.contains("listening") && line.contains("https")));
    for version in [&version::TLS12, &version::TLS13] {
        let response = certificate.get(program.address(), "/readyz", version).expect("a response");
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let head = response.to_ascii_lowercase();
        assert!(head.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{response}");
        assert!(head.contains("\r\nx-content-type-options: nosniff\r\n"), "{response}");
    }
    // A client that trusts another certificate does not connect.
    let other = Certificate::create();
    other.get(program.address(), "/readyz", &version::TLS13).expect_err("an unknown issuer");
    assert_eq!(raw::exchange(program.address(), &raw::request("GET", "/readyz", &[], b"")), None);
}

#[test]
fn clients_that_do_not_shake_hands_block_no_other() {
    raw::allow_open_files();
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let certificate = Certificate::create();
    let [of_certificate, of_key] = certificate.settings();
    // The timeout is longer than the client below waits: no silent connection ends before it is served.
    let timeout = ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300000");
    let settings = [of_certificate, of_key, timeout, ("ROSTER__HTTP__WORKERS", "1")];
    let program = Program::serve(database.url(), &settings);
    // The acceptor of actix-web allows only 256 handshakes at a time per worker.
    let mut silent: Vec<_> = (0..600).map(|_| SlowClient::open(program.address(), b"", b"")).collect();
    let response = certificate.get(program.address(), "/livez", &version::TLS13).expect("a response");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(silent.iter_mut().all(|client| client.end().is_none()), "a client was disconnected");
}

#[test]
fn a_client_that_does_not_shake_hands_is_disconnected() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let certificate = Certificate::create();
    let [of_certificate, of_key] = certificate.settings();
    let settings = [of_certificate, of_key, ("ROSTER__HTTP__HEAD_TIMEOUT_MS", "300")];
    let program = Program::serve(database.url(), &settings);
    let mut silent = raw::Connection::open(program.address()).expect("a connection");
    assert!(silent.head().is_ok_and(|head| head.is_none()), "the client was answered without a handshake");
}

#[test]
fn a_file_that_cannot_be_used_is_reported_with_its_key() {
    let database = Database::prepared(Kind::Sqlite).expect("a file");
    let [good, other] = [Certificate::create(), Certificate::create()];
    let write = |name: &str, text: &str| {
        let path = good.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let [(certificate_name, certificate), (key_name, key)] = good.settings();
    let [_, (_, other_key)] = other.settings();
    let secret = fs::read_to_string(&good.key).expect("a key").lines().nth(1).expect("a line").to_owned();
    let garbled = write("garbled", &format!("-----BEGIN {secret}\n"));
    let not_der = write("not-der", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let not_a_key = write("not-a-key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let empty = write("empty", "");
    for (given_certificate, given_key, wrong_key, problem) in [
        ("", key, "http.tls_certificate", "must be set where http.tls_key is"),
        (certificate, "", "http.tls_key", "must be set where http.tls_certificate is"),
        ("/nowhere.pem", key, "http.tls_certificate", "/nowhere.pem cannot be read: No such file or directory"),
        (certificate, "/nowhere.key", "http.tls_key", "/nowhere.key cannot be read: No such file or directory"),
        (&empty, key, "http.tls_certificate", "has no certificate in PEM"),
        (key, key, "http.tls_certificate", "has no certificate in PEM"),
        (&garbled, key, "http.tls_certificate", "is no PEM"),
        (&not_der, key, "http.tls_certificate", "is no certificate of a server"),
        (certificate, certificate, "http.tls_key", "has no private key in PEM"),
        (certificate, &garbled, "http.tls_key", "is no PEM"),
        (certificate, &not_a_key, "http.tls_key", "is no private key that TLS can use"),
        (certificate, other_key, "http.tls_key", "does not belong to the certificate"),
    ] {
        let settings = [(certificate_name, given_certificate), (key_name, given_key)];
        let finished = roster(database.url(), &settings, &["serve"]);
        assert_eq!(finished.status.code(), Some(2), "{problem}: {finished:?}");
        let reported = finished.err.lines().find(|line| line.starts_with(&format!("  {wrong_key}: ")));
        assert!(reported.is_some_and(|line| line.contains(problem)), "{wrong_key} {problem}: {finished:?}");
        assert!(!finished.err.contains(&secret), "{finished:?}");
    }
    // No other command reads the files.
    let settings = [(certificate_name, "/nowhere.pem")];
    assert!(roster(database.url(), &settings, &["merchants", "list"]).status.success());
}
