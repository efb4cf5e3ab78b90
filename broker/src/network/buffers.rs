//! The bytes that have arrived on a connection and are not answered yet.

use std::sync::{Arc, Mutex};

/// The bytes a buffer starts with, and the most of one that is kept for the next connection.
const BUFFER_BYTES: usize = 128 << 10;
const KEPT_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Buffers kept for connections that become active.
const KEPT_BUFFERS_MAX: usize = 16;
const LENGTH_BYTES: usize = 4;

/// Buffers that no connection needs at the moment.
#[derive(Debug, Default)]
pub struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    fn take(&self) -> Vec<u8> {
        self.free.lock().expect("no panic while held").pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut free = self.free.lock().expect("no panic while held");
        if buffer.capacity() <= KEPT_BUFFER_BYTES_MAX && free.len() < KEPT_BUFFERS_MAX {
            buffer.clear();
            free.push(buffer);
        }
    }
}

/// A frame's length that no request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength(pub i32);

/// Cuts the bytes of one connection into frames.
#[derive(Debug)]
pub struct FrameBuffer {
    pool: Arc<BufferPool>,
    bytes: Vec<u8>,
    /// Where the first byte lies that no frame has taken yet.
    start: usize,
    frame_bytes_max: u32,
}

impl FrameBuffer {
    /// `frame_bytes_max`: the longest frame taken (`socket.request.max.bytes`).
    pub fn new(pool: Arc<BufferPool>, frame_bytes_max: u32) -> FrameBuffer {
        FrameBuffer { pool, bytes: Vec::new(), start: 0, frame_bytes_max }
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// The frame that lies complete at the front, without its length; it stays until [`FrameBuffer::consume`].
    pub fn frame(&self) -> Result<Option<&[u8]>, BadLength> {
        let Some(length) = self.length()? else { return Ok(None) };
        Ok(self.bytes[self.start + LENGTH_BYTES..].get(..length))
    }

    fn length(&self) -> Result<Option<usize>, BadLength> {
        let Some((length, _)) = self.bytes[self.start..].split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        match u32::try_from(length) {
            Ok(bytes) if bytes <= self.frame_bytes_max => Ok(Some(bytes as usize)),
            _ => Err(BadLength(length)),
        }
    }

    /// Forgets the frame at the front, `length` bytes without its length.
    pub fn consume(&mut self, length: usize) {
        self.start += LENGTH_BYTES + length;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Gives the buffer back to the pool while nothing is in it.
    pub fn release(&mut self) {
        if self.is_empty() && self.bytes.capacity() > 0 {
            self.pool.give_back(std::mem::take(&mut self.bytes));
            self.start = 0;
        }
    }

    /// The place for bytes that arrive now: the rest of the frame at the front, as far as that is known to be coming,
    /// or some free space.
    pub fn space(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = self.pool.take();
        }
        if self.start > 0 && self.bytes.capacity() - self.bytes.len() < BUFFER_BYTES / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        if self.bytes.len() == self.bytes.capacity() {
            self.bytes.reserve(self.bytes.len());
        }
        &mut self.bytes
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        if self.bytes.capacity() > 0 {
            self.pool.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> FrameBuffer {
        FrameBuffer::new(Arc::default(), 100)
    }

    #[test]
    fn frames_come_out_whole_and_in_order_however_they_arrive() {
        let mut buffer = buffer();
        let mut frames = Vec::new();
        for byte in [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 1, 9] {
            buffer.space().push(byte);
            while let Some(frame) = buffer.frame().unwrap().map(<[u8]>::to_vec) {
                buffer.consume(frame.len());
                frames.push(frame);
            }
        }
        assert_eq!(frames, [vec![7, 8], vec![], vec![9]]);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_length_over_the_limit_or_below_zero_is_refused() {
        for length in [101, -1] {
            let mut buffer = buffer();
            buffer.space().extend(i32::to_be_bytes(length));
            assert_eq!(buffer.frame(), Err(BadLength(length)));
        }
    }

    #[test]
    fn an_empty_buffer_goes_back_to_the_pool() {
        let mut buffer = buffer();
        buffer.space().extend([0, 0, 0, 0]);
        buffer.release();
        assert_eq!(buffer.pool.free.lock().unwrap().len(), 0);
        buffer.consume(0);
        buffer.release();
        assert_eq!((buffer.pool.free.lock().unwrap().len(), buffer.bytes.capacity()), (1, 0));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut buffer = FrameBuffer::new(Arc::default(), u32::MAX);
        buffer.space().extend(i32::to_be_bytes(i32::MAX));
        assert_eq!(buffer.frame(), Ok(None));
        assert!(buffer.space().capacity() <= BUFFER_BYTES);
    }
}
