//! Just enough HTTP for a registry: one request a connection, answers of bounded size and time, TLS where the address says
//! so, the next address when one does not answer.

use std::{io, sync::Arc, time::Duration};

use cdc_api::{Error, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// One address of the registry.
#[derive(Clone)]
pub(super) struct Address {
    tls: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Address, String> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| format!("\"{url}\" is not an address"))?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(format!("\"{scheme}\" is neither http nor https")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err("an address holds no name and password: use avro.schema-registry.username and .password".into());
        }
        let bad = || format!("\"{authority}\" is not host:port");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().map_err(|_| bad())?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !plain(authority) || !plain(path) {
            return Err(bad());
        }
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Address { tls, host: host.to_owned(), port, path })
    }

    fn shown(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// Status and body.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// The client.
pub(super) struct Http {
    addresses: Vec<Address>,
    authorization: Option<String>,
    tls: TlsConnector,
}

impl Http {
    pub(super) fn new(
        addresses: Vec<Address>,
        authorization: Option<String>,
        ca: Option<&str>,
    ) -> Result<Http> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let unusable = |why: String| {
                    Error::config(format!(
                        "avro.schema-registry.ssl.ca.location \"{path}\" cannot be used"
                    ))
                    .detail(why)
                };
                let certificates = CertificateDer::pem_file_iter(path)
                    .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                    .map_err(|error| unusable(error.to_string()))?;
                let (added, _) = roots.add_parsable_certificates(certificates);
                if added == 0 {
                    return Err(unusable("it holds no certificate".into()));
                }
            }
            None if addresses.iter().any(|address| address.tls) => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            None => {}
        }
        let config = ClientConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS cannot be set up").caused_by(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
        Ok(Http { addresses, authorization, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Asks the first address that answers.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Answer> {
        let mut failure = None;
        for address in &self.addresses {
            let asked = timeout(ANSWER_TIMEOUT, self.ask_one(address, method, path, body)).await;
            let error = match asked {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer within 15 s"),
            };
            failure = Some((address.shown(), error));
        }
        let (shown, error) =
            failure.unwrap_or_else(|| (String::new(), io::ErrorKind::NotFound.into()));
        Err(Error::transient(format!("the schema registry at {shown} cannot be asked"))
            .detail(error.to_string())
            .hint("check avro.schema-registry.url, the network and that the registry runs"))
    }

    async fn ask_one(
        &self,
        address: &Address,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> io::Result<Answer> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        let mut request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\nAccept: application/vnd.schemaregistry.v1+json, application/json\r\n",
            address.path, address.host, address.port
        );
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        if let Some(body) = body {
            request.push_str(&format!(
                "Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(body.unwrap_or_default());
        if !address.tls {
            return exchange(stream, request.as_bytes()).await;
        }
        let name = ServerName::try_from(address.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        exchange(self.tls.connect(name, stream).await?, request.as_bytes()).await
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &[u8],
) -> io::Result<Answer> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    match (&mut stream).take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await {
        Ok(_) => {}
        // Some servers close without TLS's farewell; whether all is there, the length tells.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(error),
    }
    parse(&bytes).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP, or cut off")
    })
}

/// Status and body of a whole answer; none when it is not one.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let rest = bytes.get(end + 4..)?;
    let body =
        if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            unchunk(rest)?
        } else if let Some(length) = header("content-length") {
            rest.get(..length.parse().ok()?)?.to_vec()
        } else {
            rest.to_vec()
        };
    Some(Answer { status, body })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = rest.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

/// A subject's name as part of a path.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcdmore";
        assert_eq!(parse(plain).map(|answer| answer.body), Some(b"abcd".to_vec()));
        assert!(parse(&plain[..plain.len() - 6]).is_none(), "cut off");
        let chunked = b"HTTP/1.1 409 Conflict\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n";
        let answer = parse(chunked).expect("an answer");
        assert_eq!((answer.status, answer.body), (409, b"abc".to_vec()));
        assert!(
            parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n")
                .is_none()
        );
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
    }

    #[test]
    fn addresses_are_read() {
        let address = Address::parse("https://registry/apis/ccompat/v7/").expect("an address");
        assert_eq!(address.shown(), "https://registry:443/apis/ccompat/v7");
        assert!(Address::parse("registry:8081").is_err());
        assert!(Address::parse("http://user:pw@registry").is_err());
        assert!(Address::parse("http://:8081").is_err());
        assert_eq!(escape("shop.orders/value"), "shop.orders%2Fvalue");
    }
}
