//! A whole request without its length: prefix, header, and the body of the APIs that clients call most.

#![no_main]

use barnabas::protocol::ApiKey;
use barnabas::protocol::frame::{RequestFrame, RequestPrefix};
use barnabas::protocol::messages::api_versions::ApiVersionsRequest;
use barnabas::protocol::messages::fetch::FetchRequest;
use barnabas::protocol::messages::metadata::MetadataRequest;
use barnabas::protocol::messages::produce::ProduceRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(prefix) = RequestPrefix::read(input) else { return };
    let Some(api) = ApiKey::from_code(prefix.api_key).filter(|api| api.answers(prefix.api_version)) else { return };
    let Ok(frame) = RequestFrame::read(api, prefix, input) else { return };
    match api {
        ApiKey::Produce => drop(frame.message::<ProduceRequest>()),
        ApiKey::Fetch => drop(frame.message::<FetchRequest>()),
        ApiKey::Metadata => drop(frame.message::<MetadataRequest>()),
        ApiKey::ApiVersions => drop(frame.message::<ApiVersionsRequest>()),
        _ => {}
    }
});
