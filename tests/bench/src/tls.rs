//! TLS for the benchmarks' services: an authority made for the run, and a listener with its certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use tests::{Any, failed};

/// A certificate authority, and a server on localhost whose certificate it has signed.
pub struct Authority {
    /// Its own certificate, for those who are to trust it.
    pub pem: String,
    server: TlsAcceptor,
}

impl Authority {
    /// Makes keys and certificates.
    pub fn new() -> Any<Self> {
        let mut authority = CertificateParams::new(vec![])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of another name than what it signs: OpenSSL would take that for signed by itself.
        authority.distinguished_name.push(DnType::CommonName, "authority of this run");
        let key = KeyPair::generate()?;
        let pem = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(failed)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { pem, server: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Serves over TLS on a free loopback port; returns the URL.
    pub async fn serve(&self, app: Router) -> std::io::Result<String> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("https://localhost:{}", tcp.local_addr()?.port());
        let listener = TlsListener { tcp, server: self.server.clone() };
        tokio::spawn(async { axum::serve(listener, app).await });
        Ok(url)
    }
}

/// Accepts connections once their handshake is done.
struct TlsListener {
    tcp: TcpListener,
    server: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            let _ = stream.set_nodelay(true);
            if let Ok(stream) = self.server.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
