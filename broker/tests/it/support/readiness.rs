//! Asking a broker whether it serves, with the one request that every Kafka version answers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const API_VERSIONS: i16 = 18;
const CORRELATION_ID: i32 = 7;

/// Sends ApiVersions v0 to `address`. Errors: no connection, or no proper answer within two seconds.
pub fn answers_api_versions(address: SocketAddr) -> io::Result<()> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    if stream.local_addr()? == address {
        return Err(io::Error::other("connected to itself"));
    }
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(&request())?;
    let mut answer = [0; 10];
    stream.read_exact(&mut answer)?;
    let correlation_id = i32::from_be_bytes(answer[4..8].try_into().expect("four bytes"));
    let error_code = i16::from_be_bytes(answer[8..10].try_into().expect("two bytes"));
    if (correlation_id, error_code) == (CORRELATION_ID, 0) { Ok(()) } else { Err(io::Error::other("not Kafka")) }
}

/// ApiVersions v0 with a null client id, in its frame.
fn request() -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(API_VERSIONS.to_be_bytes());
    header.extend(0i16.to_be_bytes());
    header.extend(CORRELATION_ID.to_be_bytes());
    header.extend((-1i16).to_be_bytes());
    [(header.len() as i32).to_be_bytes().to_vec(), header].concat()
}
