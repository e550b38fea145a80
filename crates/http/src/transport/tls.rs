//! TLS: the certificate and the private key of the service.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Accepts connections over TLS 1.2 and 1.3, without client certificates.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ServerConfig>);

/// Which of the two files cannot be used, and why. It never quotes the files.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate file.
    #[error("{0}")]
    Certificate(String),
    /// The key file.
    #[error("{0}")]
    Key(String),
}

impl Tls {
    /// Reads a certificate with its chain, and its private key; both files are PEM.
    ///
    /// # Errors
    /// [`TlsError`] if a file cannot be read or has other content, or if the two do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = read_chain(certificate).map_err(TlsError::Certificate)?;
        let key = read_key(&provider, key).map_err(TlsError::Key)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Unknown: keys of this kind cannot be compared.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(TlsError::Key("does not belong to the certificate".to_owned()));
            }
            Err(error) => return Err(TlsError::Certificate(format!("is no certificate of a server: {error}"))),
        }
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Certificate(format!("cannot be used: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Performs the TLS handshake with a client.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.0)).accept(stream).await
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match chain {
        Ok(chain) if chain.is_empty() => Err("has no certificate in PEM".to_owned()),
        chain => chain.map_err(|error| describe(&error)),
    }
}

fn read_key(provider: &CryptoProvider, path: &Path) -> Result<Arc<dyn SigningKey>, String> {
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => "has no private key in PEM, or one that is encrypted".to_owned(),
        error => describe(&error),
    })?;
    provider.key_provider.load_private_key(key).map_err(|_| "is no private key that TLS can use".to_owned())
}

/// Describes an error without the library's text, which quotes lines of the file and so perhaps of a key.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("cannot be read: {error}"),
        _ => "is no PEM".to_owned(),
    }
}
