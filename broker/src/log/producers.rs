//! The producers' state on the disk: snapshots where segments begin, and the batches behind the last of them.

use super::append::marker_of;
use super::files;
use super::log::Log;
use super::names;
use super::producer_snapshot;
use super::producer_state::ProducerState;
use super::scan::Scanner;
use super::segment::into_io;
use super::transaction_index::AbortedTransaction;
use crate::protocol::batch::RecordBatch;
use std::io;
use tracing::warn;

/// Bytes that are read at once.
const BLOCK_BYTES: usize = 8 << 10;

impl Log {
    /// The latest of the snapshots that is not behind `limit` and can be read; those after it are removed.
    /// `offsets` are then those before it. A snapshot from before the log's start is of no use: the batches between are
    /// gone, and with them the sequences that producers have reached.
    pub(super) fn latest_snapshot(
        &self,
        offsets: &mut Vec<i64>,
        limit: i64,
    ) -> io::Result<Option<(i64, ProducerState)>> {
        offsets.sort_unstable();
        while let Some(offset) = offsets.pop() {
            if offset > limit || offset < self.log_start_offset() {
                files::remove(&names::snapshot_file(&self.path, offset))?;
            } else if let Some(state) = self.read_snapshot(offset)? {
                return Ok(Some((offset, state)));
            }
        }
        Ok(None)
    }

    /// Loads the latest snapshot, and replays the batches behind it.
    pub(super) fn load_producers(&mut self, mut snapshots: Vec<i64>, now: i64) -> io::Result<()> {
        self.producers.clear();
        let latest = self.latest_snapshot(&mut snapshots, self.log_end_offset)?;
        let snapshot_offset = latest.as_ref().map_or(0, |(offset, _)| *offset);
        self.state.snapshot_offset = snapshot_offset;
        if let Some((offset, state)) = latest {
            self.producers = state;
            if !self.begins_segment(offset) {
                self.state.small_files.found_snapshot(offset);
            }
        }
        self.replay_producers(snapshot_offset.max(self.log_start_offset()))?;
        self.producers.expire(now, self.directory.producer_id_expiration_ms());
        self.remove_stray_snapshots(&snapshots)
    }

    /// A snapshot that cannot be read is removed.
    fn read_snapshot(&self, offset: i64) -> io::Result<Option<ProducerState>> {
        let path = names::snapshot_file(&self.path, offset);
        match producer_snapshot::read(&std::fs::read(&path)?) {
            Ok(state) => Ok(Some(state)),
            Err(error) => {
                warn!(snapshot = %path.display(), %error, "removed");
                files::remove(&path)?;
                Ok(None)
            }
        }
    }

    /// Of the snapshots before the latest, those that stand where a segment begins are kept.
    fn remove_stray_snapshots(&self, offsets: &[i64]) -> io::Result<()> {
        for offset in offsets.iter().filter(|offset| !self.begins_segment(**offset)) {
            files::remove(&names::snapshot_file(&self.path, *offset))?;
        }
        Ok(())
    }

    fn begins_segment(&self, offset: i64) -> bool {
        self.segments.binary_search_by_key(&offset, |segment| segment.base_offset).is_ok()
    }

    /// What the lists of aborted transactions say of `from` and behind is made anew, too.
    fn replay_producers(&mut self, from: i64) -> io::Result<()> {
        if from >= self.log_end_offset {
            return Ok(());
        }
        for place in self.segment_of(from)..self.segments.len() {
            self.segments[place].transactions.truncate(from)?;
            for aborted in self.replay_segment(place, from)? {
                self.segments[place].transactions.append(aborted);
            }
        }
        Ok(())
    }

    /// Replays the batches of a segment from offset `from` on; gives the transactions that were aborted in it.
    fn replay_segment(&mut self, place: usize, from: i64) -> io::Result<Vec<AbortedTransaction>> {
        let mut aborted = Vec::new();
        let segment = &self.segments[place];
        let Some(first) = segment.locate(from)? else { return Ok(aborted) };
        let file = segment.log.open()?;
        let mut scanner = Scanner::new(&file, first.position, segment.size, BLOCK_BYTES);
        while let Some(batch) = scanner.next_header().map_err(into_io)? {
            let header = batch.header;
            if !header.has_producer() {
                continue;
            }
            if !header.is_control() {
                self.producers.append_batch(&header, header.max_timestamp);
                continue;
            }
            let mut control = Scanner::new(&file, batch.position, batch.end(), header.size);
            let Some((_, bytes)) = control.next_batch().map_err(into_io)? else { continue };
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            let (control, _) = RecordBatch::split_first(bytes).map_err(invalid)?;
            if let Some(marker) = marker_of(control, &header).map_err(invalid)? {
                let ended = self.producers.append_marker(&header, marker, header.max_timestamp);
                aborted.extend(ended.filter(|ended| !ended.committed).map(AbortedTransaction::from));
            }
        }
        Ok(aborted)
    }
}
