//! The few requests that the load needs, encoded and decoded by hand.
//!
//! Deliberately not the broker's own codec: the opponent is measured with the same client, and a mistake that encoder and
//! decoder of one crate share would not be seen.

use anyhow::{Context, Result, bail, ensure};

/// API key, version and header form of a request.
#[derive(Clone, Copy)]
pub struct Api {
    pub key: i16,
    pub version: i16,
    /// Flexible versions carry tagged fields in both headers (KIP-482).
    pub flexible: bool,
}

pub const PRODUCE: Api = Api { key: 0, version: 9, flexible: true };
pub const FETCH: Api = Api { key: 1, version: 12, flexible: true };
pub const METADATA: Api = Api { key: 3, version: 4, flexible: false };
pub const CREATE_TOPICS: Api = Api { key: 19, version: 4, flexible: false };
pub const DELETE_TOPICS: Api = Api { key: 20, version: 3, flexible: false };
pub const INIT_PRODUCER_ID: Api = Api { key: 22, version: 1, flexible: false };
pub const ELECT_LEADERS: Api = Api { key: 43, version: 1, flexible: false };
pub const BROKER_REGISTRATION: Api = Api { key: 62, version: 4, flexible: true };
pub const BROKER_HEARTBEAT: Api = Api { key: 63, version: 0, flexible: true };
pub const DESCRIBE_QUORUM: Api = Api { key: 55, version: 0, flexible: true };

/// The error code of a broker that is not ready, and will be.
pub const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
/// The error code of a broker that has yet to hear who the active controller is.
pub const NOT_CONTROLLER: i16 = 41;

/// Appends Kafka's primitive types to a buffer.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn string(&mut self, value: &str) -> &mut Self {
        self.i16(value.len() as i16).bytes(value.as_bytes())
    }

    pub fn unsigned_varint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// Zigzag, as the fields of a record.
    pub fn varint(&mut self, value: i32) -> &mut Self {
        self.unsigned_varint(((value << 1) ^ (value >> 31)) as u32)
    }

    /// The length of a compact string, array or byte string.
    pub fn compact_len(&mut self, len: usize) -> &mut Self {
        self.unsigned_varint(len as u32 + 1)
    }

    pub fn compact_string(&mut self, value: &str) -> &mut Self {
        self.compact_len(value.len()).bytes(value.as_bytes())
    }

    /// No tagged fields.
    pub fn no_tags(&mut self) -> &mut Self {
        self.unsigned_varint(0)
    }

    /// Starts a frame: size (see [`Writer::finish_frame`]), request header, client id `bench`.
    pub fn frame(api: Api, correlation_id: i32) -> Self {
        let mut writer = Writer::default();
        writer.i32(0).i16(api.key).i16(api.version).i32(correlation_id).string("bench");
        if api.flexible {
            writer.no_tags();
        }
        writer
    }

    /// Writes the frame's size into its first four bytes.
    pub fn finish_frame(mut self) -> Vec<u8> {
        let size = (self.0.len() - 4) as i32;
        self.0[..4].copy_from_slice(&size.to_be_bytes());
        self.0
    }
}

/// Takes Kafka's primitive types from a response. Errors: the response ends too early.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len).context("the response ends too early")?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn string(&mut self) -> Result<&'a str> {
        let len = self.i16()?;
        Ok(std::str::from_utf8(self.take(len.max(0) as usize)?)?)
    }

    pub fn unsigned_varint(&mut self) -> Result<u32> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bail!("a varint of more than five bytes")
    }

    /// The length of a compact string, array or byte string; null counts as empty.
    pub fn compact_len(&mut self) -> Result<usize> {
        Ok(self.unsigned_varint()?.saturating_sub(1) as usize)
    }

    pub fn compact_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.compact_len()?;
        self.take(len)
    }

    pub fn skip_tags(&mut self) -> Result<()> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let len = self.unsigned_varint()?;
            self.take(len as usize)?;
        }
        Ok(())
    }
}

/// What a broker knows of the cluster and of one topic.
pub struct Metadata {
    pub brokers: Vec<Address>,
    pub partitions: Vec<Partition>,
}

pub struct Address {
    pub id: i32,
    pub port: u16,
}

pub struct Partition {
    pub index: i32,
    /// None while it is being created, and after all replicas died.
    pub leader: Option<i32>,
    pub replicas: i32,
    pub in_sync: i32,
}

impl Metadata {
    /// How many partitions have a leader.
    pub fn led(&self) -> usize {
        self.partitions.iter().filter(|partition| partition.leader.is_some()).count()
    }

    /// Whether the broker knows the topic, and every replica of every partition as in sync.
    pub fn in_sync(&self) -> bool {
        let whole = |partition: &Partition| partition.leader.is_some() && partition.in_sync == partition.replicas;
        !self.partitions.is_empty() && self.partitions.iter().all(whole)
    }

    pub fn port_of(&self, broker: i32) -> Result<u16> {
        let found = self.brokers.iter().find(|address| address.id == broker);
        Ok(found.with_context(|| format!("broker {broker} leads and is not listed"))?.port)
    }
}

/// The answer to a Metadata request for one topic.
pub fn read_metadata(mut body: Reader<'_>) -> Result<Metadata> {
    body.i32()?;
    let brokers = (0..body.i32()?).map(|_| read_broker(&mut body)).collect::<Result<_>>()?;
    body.string()?;
    body.i32()?;
    ensure!(body.i32()? == 1, "Metadata answered for more or less than one topic");
    body.i16()?;
    body.string()?;
    body.i8()?;
    let partitions = (0..body.i32()?).map(|_| read_partition(&mut body)).collect::<Result<_>>()?;
    Ok(Metadata { brokers, partitions })
}

fn read_broker(body: &mut Reader<'_>) -> Result<Address> {
    let id = body.i32()?;
    body.string()?;
    let port = u16::try_from(body.i32()?)?;
    body.string()?;
    Ok(Address { id, port })
}

fn read_partition(body: &mut Reader<'_>) -> Result<Partition> {
    // LEADER_NOT_AVAILABLE is said by a leader of -1 too, and a missing follower is no error to a client.
    body.i16()?;
    let index = body.i32()?;
    let leader = Some(body.i32()?).filter(|leader| *leader >= 0);
    let mut count_nodes = || -> Result<i32> {
        let nodes = body.i32()?;
        body.take(nodes as usize * 4)?;
        Ok(nodes)
    };
    Ok(Partition { index, leader, replicas: count_nodes()?, in_sync: count_nodes()? })
}

/// The leader of the metadata log, which is the active controller. None: there is none right now.
pub fn read_quorum_leader(mut body: Reader<'_>) -> Result<Option<i32>> {
    let error = body.i16()?;
    ensure!(error == 0, "DescribeQuorum answered error code {error}");
    ensure!(body.compact_len()? == 1, "DescribeQuorum answered for more or less than one topic");
    body.compact_bytes()?;
    ensure!(body.compact_len()? == 1, "DescribeQuorum answered for more or less than one partition");
    body.i32()?;
    let error = body.i16()?;
    let leader = body.i32()?;
    Ok((error == 0 && leader >= 0).then_some(leader))
}

/// What a partition answered to a Produce request.
pub struct Acknowledgement {
    pub partition: i32,
    pub error_code: i16,
    pub base_offset: i64,
}

/// The answers of all partitions: in the order of the response, which is not that of the request.
pub fn read_acknowledgements(mut body: Reader<'_>) -> Result<Vec<Acknowledgement>> {
    let mut acknowledgements = Vec::new();
    for _ in 0..body.compact_len()? {
        body.compact_bytes()?;
        for _ in 0..body.compact_len()? {
            acknowledgements.push(read_acknowledgement(&mut body)?);
        }
        body.skip_tags()?;
    }
    Ok(acknowledgements)
}

fn read_acknowledgement(body: &mut Reader<'_>) -> Result<Acknowledgement> {
    let partition = body.i32()?;
    let error_code = body.i16()?;
    let base_offset = body.i64()?;
    body.take(16)?;
    for _ in 0..body.compact_len()? {
        body.i32()?;
        body.compact_bytes()?;
        body.skip_tags()?;
    }
    body.compact_bytes()?;
    body.skip_tags()?;
    Ok(Acknowledgement { partition, error_code, base_offset })
}

/// The record batches of a Fetch response for one partition. Errors: any error code in it.
pub fn read_fetched<'a>(mut body: Reader<'a>) -> Result<&'a [u8]> {
    body.i32()?;
    let error = body.i16()?;
    ensure!(error == 0, "Fetch answered error code {error}");
    body.i32()?;
    ensure!(body.compact_len()? == 1, "Fetch answered for more or less than one topic");
    body.compact_bytes()?;
    ensure!(body.compact_len()? == 1, "Fetch answered for more or less than one partition");
    body.i32()?;
    let error = body.i16()?;
    ensure!(error == 0, "Fetch answered error code {error} for the partition");
    body.take(24)?;
    for _ in 0..body.compact_len()? {
        body.take(16)?;
        body.skip_tags()?;
    }
    body.i32()?;
    body.compact_bytes()
}
