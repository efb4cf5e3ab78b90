//! The thread that shows committed metadata: to the subscribers one after the other, then to everybody.

use crate::controller::client::Subscriber;
use crate::controller::delta::ImageDelta;
use crate::controller::image::MetadataImage;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

pub enum Publication {
    /// The image from now on, and what differs from the one before.
    Image(Arc<MetadataImage>, ImageDelta),
    /// Has somebody called with all there is, then with each change.
    Subscribe(Subscriber, oneshot::Sender<()>),
    Stop,
}

type Started = (mpsc::Sender<Publication>, JoinHandle<()>, watch::Receiver<Arc<MetadataImage>>);

pub fn start() -> io::Result<Started> {
    let (publications, queue) = mpsc::channel();
    let (published, image) = watch::channel(Arc::<MetadataImage>::default());
    let thread = std::thread::Builder::new().name("metadata".into()).spawn(move || run(&queue, &published))?;
    Ok((publications, thread, image))
}

fn run(queue: &mpsc::Receiver<Publication>, published: &watch::Sender<Arc<MetadataImage>>) {
    let mut subscribers: Vec<Subscriber> = Vec::new();
    while let Ok(publication) = queue.recv() {
        match publication {
            Publication::Image(new, delta) => {
                let old = published.borrow().clone();
                for subscriber in &subscribers {
                    subscriber(&old, &new, &delta);
                }
                published.send_replace(new);
            }
            Publication::Subscribe(subscriber, done) => {
                let image = published.borrow().clone();
                subscriber(&MetadataImage::default(), &image, &ImageDelta::everything(&image));
                subscribers.push(subscriber);
                done.send(()).ok();
            }
            Publication::Stop => return,
        }
    }
}
