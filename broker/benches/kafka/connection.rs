//! A blocking connection: frames out, frames in, in order. Requests may be pipelined.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt;

use crate::batch;
use crate::wire::{self, Acknowledgement, Api, Metadata, Reader, Writer};

/// The socket buffers of a Java producer and consumer (`send.buffer.bytes`, `receive.buffer.bytes`).
const SEND_BUFFER_BYTES: usize = 128 * 1024;
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;

/// How long a broker may take for one answer: more than ten thousand partitions created in one request need.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

pub struct Connection {
    stream: TcpStream,
    response: Vec<u8>,
    next_correlation_id: i32,
    awaited_correlation_id: i32,
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        Self::open_for(port, ANSWER_TIMEOUT)
    }

    /// A connection whose answers take at most `patience`.
    pub fn open_for(port: u16, patience: Duration) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES)?;
        sockopt::set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER_BYTES)?;
        Ok(Self { stream, response: Vec::new(), next_correlation_id: 0, awaited_correlation_id: 0 })
    }

    /// The correlation id that the next frame has to carry.
    pub fn next_correlation_id(&self) -> i32 {
        self.next_correlation_id
    }

    /// Sends a finished frame whose correlation id is [`Connection::next_correlation_id`].
    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.next_correlation_id += 1;
        self.stream.write_all(frame).context("sending a request")
    }

    /// The body of the next response. Errors: the connection broke, or an answer to another request came.
    pub fn receive(&mut self, api: Api) -> Result<Reader<'_>> {
        let mut size = [0; 4];
        self.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).context("a negative frame size")?;
        if self.response.len() < size {
            self.response.resize(size, 0);
        }
        self.stream.read_exact(&mut self.response[..size]).context("reading a response")?;
        let mut body = Reader(&self.response[..size]);
        let correlation_id = body.i32()?;
        ensure!(correlation_id == self.awaited_correlation_id, "an answer to request {correlation_id} out of order");
        self.awaited_correlation_id += 1;
        if api.flexible {
            body.skip_tags()?;
        }
        Ok(body)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => anyhow::anyhow!("no answer in time"),
            _ => anyhow::Error::from(error).context("reading a response"),
        })
    }

    /// Sends a request and returns the body of its response.
    pub fn call(&mut self, api: Api, write: impl FnOnce(&mut Writer)) -> Result<Reader<'_>> {
        let mut frame = Writer::frame(api, self.next_correlation_id);
        write(&mut frame);
        self.send(&frame.finish_frame())?;
        self.receive(api)
    }

    /// Creates a topic and waits until every partition has a leader.
    pub fn create_topic(&mut self, name: &str, partitions: i32, replicas: i16) -> Result<()> {
        let error = self.try_to_create_topic(name, partitions, replicas, ANSWER_TIMEOUT)?;
        ensure!(error == 0, "CreateTopics answered error code {error}");
        self.await_leaders(name, partitions as usize, Instant::now() + ANSWER_TIMEOUT)
    }

    /// Asks for a topic, and returns the error code that came back.
    pub fn try_to_create_topic(&mut self, name: &str, partitions: i32, replicas: i16, limit: Duration) -> Result<i16> {
        let mut body = self.call(wire::CREATE_TOPICS, |frame| {
            frame.i32(1).string(name).i32(partitions).i16(replicas).i32(0).i32(0);
            frame.i32(limit.as_millis() as i32).i8(0);
        })?;
        body.take(8)?;
        body.string()?;
        body.i16()
    }

    /// Creates a topic whose partitions all have these replicas.
    pub fn create_topic_on(&mut self, name: &str, partitions: i32, replicas: &[i32]) -> Result<()> {
        let mut body = self.call(wire::CREATE_TOPICS, |frame| {
            frame.i32(1).string(name).i32(-1).i16(-1).i32(partitions);
            for partition in 0..partitions {
                frame.i32(partition).i32(replicas.len() as i32);
                for replica in replicas {
                    frame.i32(*replica);
                }
            }
            frame.i32(0).i32(ANSWER_TIMEOUT.as_millis() as i32).i8(0);
        })?;
        body.take(8)?;
        body.string()?;
        let error = body.i16()?;
        ensure!(error == 0, "CreateTopics answered error code {error}");
        Ok(())
    }

    /// What the broker knows of the cluster and of a topic; creates the topic where the broker does so by itself.
    pub fn metadata(&mut self, topic: &str) -> Result<Metadata> {
        wire::read_metadata(self.call(wire::METADATA, |frame| {
            frame.i32(1).string(topic).i8(1);
        })?)
    }

    /// The active controller, if the broker knows one.
    pub fn active_controller(&mut self) -> Result<Option<i32>> {
        wire::read_quorum_leader(self.call(wire::DESCRIBE_QUORUM, |frame| {
            frame.compact_len(1).compact_string("__cluster_metadata").compact_len(1).i32(0);
            frame.no_tags().no_tags().no_tags();
        })?)
    }

    /// Waits until `partitions` partitions of the topic have a leader; creates it where the broker does so by itself.
    pub fn await_leaders(&mut self, topic: &str, partitions: usize, deadline: Instant) -> Result<()> {
        poll_until(deadline, "a leader for every partition", || {
            Ok((self.metadata(topic)?.led() == partitions).then_some(()))
        })
    }

    /// Makes the first replica of every partition its leader, where it is not. One that is already is an error code, and
    /// no failure.
    pub fn elect_preferred(&mut self) -> Result<()> {
        poll_until(Instant::now() + ANSWER_TIMEOUT, "an election of leaders", || {
            let mut body = self.call(wire::ELECT_LEADERS, |frame| {
                frame.i8(0).i32(-1).i32(ANSWER_TIMEOUT.as_millis() as i32);
            })?;
            body.i32()?;
            let error = body.i16()?;
            // A broker that was frozen may have to find the active controller first.
            ensure!([0, wire::NOT_CONTROLLER].contains(&error), "ElectLeaders answered error code {error}");
            Ok((error == 0).then_some(()))
        })
    }

    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        let mut body = self.call(wire::DELETE_TOPICS, |frame| {
            frame.i32(1).string(name).i32(ANSWER_TIMEOUT.as_millis() as i32);
        })?;
        body.take(8)?;
        body.string()?;
        let error = body.i16()?;
        ensure!(error == 0, "DeleteTopics answered error code {error}");
        Ok(())
    }

    /// A producer id and its epoch, for idempotent batches (KIP-98). A broker that has just started may not have any yet.
    pub fn init_producer_id(&mut self) -> Result<(i64, i16)> {
        poll_until(Instant::now() + ANSWER_TIMEOUT, "a producer id", || {
            let mut body = self.call(wire::INIT_PRODUCER_ID, |frame| {
                frame.i16(-1).i32(60_000);
            })?;
            body.i32()?;
            let error = body.i16()?;
            ensure!(
                [0, wire::COORDINATOR_LOAD_IN_PROGRESS].contains(&error),
                "InitProducerId answered error code {error}"
            );
            let producer = (body.i64()?, body.i16()?);
            Ok((error == 0).then_some(producer))
        })
    }

    /// Writes one small record to each of the partitions in one request; each answers for itself.
    pub fn produce_to_each(&mut self, topic: &str, partitions: &[i32]) -> Result<Vec<Acknowledgement>> {
        let records = batch::single_small_record();
        let body = self.call(wire::PRODUCE, |frame| {
            frame.unsigned_varint(0).i16(-1).i32(30_000).compact_len(1).compact_string(topic);
            frame.compact_len(partitions.len());
            for partition in partitions {
                frame.i32(*partition).compact_len(records.len()).bytes(&records).no_tags();
            }
            frame.no_tags().no_tags();
        })?;
        wire::read_acknowledgements(body)
    }

    /// Writes a record to each of the partitions until all of them have acknowledged one.
    pub fn await_writable(&mut self, topic: &str, partitions: &[i32], deadline: Instant) -> Result<()> {
        let mut waiting = partitions.to_vec();
        poll_until(deadline, "every partition writable", || {
            let answers = self.produce_to_each(topic, &waiting)?;
            ensure!(answers.len() == waiting.len(), "Produce answered for {} partitions", answers.len());
            waiting = answers.iter().filter(|answer| answer.error_code != 0).map(|answer| answer.partition).collect();
            Ok(waiting.is_empty().then_some(()))
        })
    }
}

/// Asks every millisecond until there is an answer. Errors: that of `ask`, or none before the deadline.
pub fn poll_until<T>(deadline: Instant, what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "{what}: not within the time allowed");
        std::thread::sleep(Duration::from_millis(1));
    }
}
