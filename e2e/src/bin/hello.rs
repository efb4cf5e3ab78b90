//! Writes a record and reads it back: `hello BOOTSTRAP [TOPIC]`.

use anyhow::{Context, Result, ensure};
use barnabas_e2e::client::{consume_one, produce_one};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().context("usage: hello BOOTSTRAP [TOPIC]")?;
    let topic = arguments.next().unwrap_or_else(|| "hello".to_owned());
    let text = format!("hello from process {}", std::process::id());
    let offset = produce_one(&bootstrap, &topic, 0, &text, LIMIT).await?;
    let read = consume_one(&bootstrap, &topic, 0, offset, LIMIT).await?;
    ensure!(read == text, "wrote \"{text}\", read \"{read}\"");
    println!("wrote and read \"{text}\": {topic}, partition 0, offset {offset}");
    Ok(())
}
