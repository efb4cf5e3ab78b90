//! Hands out producer ids from the blocks that the controller gives to this broker (KIP-730).
//!
//! - No id is handed out twice, by no broker and over no restart: what is left of a block when its broker stops is lost.
//! - The next block is asked for when this one is nearly used up, so that no producer waits for the metadata log.

use super::client::ControllerClient;
use super::request::{ProducerIdBlock, Refusal};
use std::sync::{Mutex, MutexGuard};

/// Ids of a block that are left when the next is asked for: a tenth, as Kafka's.
const LEFT_WHEN_ASKING: i64 = 100;

/// The ids that this broker may hand out.
#[derive(Debug, Default)]
pub struct ProducerIds {
    blocks: Mutex<Blocks>,
    /// Held by whoever asks for the next block.
    asking: tokio::sync::Mutex<()>,
}

impl ProducerIds {
    /// An id that nobody had before.
    /// Errors: the controller's, where there is no id left and it gives no further block.
    pub(super) async fn next(&self, client: &ControllerClient) -> Result<i64, Refusal> {
        loop {
            let (id, ask) = self.take();
            if ask {
                let client = client.clone();
                tokio::spawn(async move { client.ask_ahead_for_producer_ids().await });
            }
            match id {
                Some(id) => return Ok(id),
                None => self.refill(client).await?,
            }
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().expect("nobody panics while holding it")
    }

    fn take(&self) -> (Option<i64>, bool) {
        let mut blocks = self.blocks();
        let id = blocks.take();
        (id, id.is_some() && blocks.should_ask())
    }

    /// Gets one more block, unless somebody did while this waited.
    pub(super) async fn refill(&self, client: &ControllerClient) -> Result<(), Refusal> {
        let _asking = self.asking.lock().await;
        if !self.blocks().is_low() {
            return Ok(());
        }
        let block = client.next_producer_id_block().await?;
        self.blocks().next = Some(block);
        Ok(())
    }
}

/// The rest of the block in use, and the block after it.
#[derive(Debug, Default)]
struct Blocks {
    next_id: i64,
    left: i64,
    next: Option<ProducerIdBlock>,
    /// Whether the block in use was the occasion to ask already.
    asked: bool,
}

impl Blocks {
    fn take(&mut self) -> Option<i64> {
        if self.left == 0 {
            let block = self.next.take()?;
            (self.next_id, self.left, self.asked) = (block.first, block.count, false);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.left -= 1;
        Some(id)
    }

    fn is_low(&self) -> bool {
        self.next.is_none() && self.left <= LEFT_WHEN_ASKING
    }

    /// Whether it is time to ask for the next block: true once for each block.
    fn should_ask(&mut self) -> bool {
        let now = !self.asked && self.is_low();
        self.asked |= now;
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_run_through_the_blocks_without_one_twice() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.take(), None);
        blocks.next = Some(ProducerIdBlock { first: 1000, count: 2 });
        assert_eq!((blocks.take(), blocks.take(), blocks.take()), (Some(1000), Some(1001), None));
        blocks.next = Some(ProducerIdBlock { first: 5000, count: 1 });
        assert_eq!((blocks.take(), blocks.take()), (Some(5000), None));
    }

    #[test]
    fn the_next_block_is_asked_for_once_when_a_tenth_is_left() {
        let mut blocks = Blocks { next: Some(ProducerIdBlock { first: 0, count: 1000 }), ..Blocks::default() };
        let asked: Vec<i64> = (0..1000)
            .filter_map(|_| {
                let id = blocks.take()?;
                blocks.should_ask().then_some(id)
            })
            .collect();
        assert_eq!(asked, [899]);
    }
}
