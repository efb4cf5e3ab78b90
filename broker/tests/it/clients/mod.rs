//! Real clients against the real broker, each as its users run it.

mod java;
mod kcat;
mod librdkafka;
mod programs;
